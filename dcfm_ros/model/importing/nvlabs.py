# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of NVlabs' SegFormer: ImageNet backbones (`mit_b*.pth`) and segmentation models (MMSegmentation
files)."""

from __future__ import annotations

from collections.abc import Sequence

from dcfm_ros.model.config import ClassSpec, ConfigError
from dcfm_ros.model.importing.checkpoint import Checkpoint, CheckpointError
from dcfm_ros.model.importing.class_names import classes_of
from dcfm_ros.model.importing.foreign import Foreign, only
from dcfm_ros.model.importing.layout import Layout, by_prefix, closest_backbone, shape
from dcfm_ros.model.mit import MIT_SPECS

SIGNS = ("patch_embed1.", "backbone.patch_embed1.")

# head: ImageNet's classifier
BACKBONE = Layout(by_prefix({"encoder.": ""}), ignored=r"head\.", absent=("fusion", "classifier"))
# conv_seg: classifier of MMSegmentation's base class, unused by SegFormer
SEGMENTATION = Layout(
    by_prefix(
        {"encoder.": "backbone.", "fusion.": "decode_head.", "classifier.": "decode_head.linear_pred."}
    ),
    ignored=r"decode_head\.conv_seg\.",
)


def understand(checkpoints: Sequence[Checkpoint]) -> Foreign:
    """Interpret an NVlabs checkpoint: SegFormer with its classes, or its encoder alone. Raises
    CheckpointError."""
    checkpoint = only(checkpoints, "nvlabs")
    tensors, where = checkpoint.tensors, str(checkpoint.path)
    segments = any(name.startswith(("backbone.", "decode_head.")) for name in tensors)
    layout = SEGMENTATION if segments else BACKBONE
    settings: dict[str, str | int] = {
        "architecture": "per_frame",
        "backbone": closest_backbone(tensors, layout, MIT_SPECS),
    }
    if not segments:
        return Foreign(where, tensors, layout, settings)
    settings["embed"] = shape(tensors, "decode_head.linear_fuse.conv.weight", 4, where)[0]
    count = shape(tensors, "decode_head.linear_pred.weight", 4, where)[0]
    return Foreign(where, tensors, layout, settings, count, lambda: _classes(checkpoint))


def _classes(checkpoint: Checkpoint) -> tuple[ClassSpec, ...] | None:
    """Return names and colours, if MMSegmentation stored them."""
    names, palette = checkpoint.meta.get("CLASSES"), checkpoint.meta.get("PALETTE")
    if names is None:
        return None
    where = f"{checkpoint.path}: CLASSES"
    if not isinstance(names, (list, tuple)):
        raise CheckpointError(f"{where} is no list of names; give --classes")
    classes = classes_of([str(name) for name in names], where)
    try:
        return (
            tuple(ClassSpec(row.name, tuple(rgb)) for row, rgb in zip(classes, palette, strict=True))
            if palette
            else classes
        )
    except (ConfigError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{checkpoint.path}: its CLASSES and PALETTE are no class table ({error}); give --classes"
        ) from error
