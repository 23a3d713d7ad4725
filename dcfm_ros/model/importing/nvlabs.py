# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of NVlabs' SegFormer: ImageNet backbones (`mit_b*.pth`) and segmentation models (MMSegmentation
files)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dcfm_ros.model.backbone_specs import MIT_SPECS
from dcfm_ros.model.importing.checkpoint import Checkpoint
from dcfm_ros.model.importing.foreign import Foreign, only
from dcfm_ros.model.importing.layout import Layout, by_prefix, closest_backbone, shape
from dcfm_ros.model.importing.noted_classes import noted_classes

SIGNS = ("patch_embed1.", "backbone.patch_embed1.")

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
    segments = any(name.startswith("decode_head.") for name in tensors)
    layout = SEGMENTATION if segments else _backbone(tensors)
    settings: dict[str, str | int] = {
        "architecture": "per_frame",
        "backbone": closest_backbone(tensors, layout, MIT_SPECS),
    }
    if not segments:
        return Foreign(where, tensors, layout, settings)
    settings["embed"] = shape(tensors, "decode_head.linear_fuse.conv.weight", 4, where)[0]
    count = shape(tensors, "decode_head.linear_pred.weight", 4, where)[0]
    return Foreign(where, tensors, layout, settings, count, lambda: noted_classes(checkpoint))


def _backbone(tensors: Iterable[str]) -> Layout:
    """Return the layout of an encoder alone, as NVlabs trained it, or taken from a segmentation model."""
    before = "backbone." if any(name.startswith("backbone.") for name in tensors) else ""
    # head: ImageNet's classifier
    return Layout(by_prefix({"encoder.": before}), ignored=r"head\.", absent=("fusion", "classifier"))
