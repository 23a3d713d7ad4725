# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ImageNet encoders of EfficientNet-Lite under timm's names, `tf_efficientnet_lite0` and its siblings.

These have TensorFlow's values, padding and epsilon of batch norm, as the encoders of this package do. timm's
`efficientnet_lite0` has the same names and shapes but PyTorch's padding and epsilon: with its weights, an
encoder of this package would compute something else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from dcfm_ros.model.backbone_specs import EFFICIENTNET_SPECS
from dcfm_ros.model.importing.checkpoint import Checkpoint, CheckpointError
from dcfm_ros.model.importing.foreign import Foreign, only
from dcfm_ros.model.importing.json_file import read_json
from dcfm_ros.model.importing.layout import Layout, closest_backbone

SIGNS = ("conv_stem.",)
CONFIG = "config.json"

# In the first block, which does not expand, and in the others.
_FIRST = {
    "depthwise.conv": "conv_dw",
    "depthwise.norm": "bn1",
    "project.conv": "conv_pw",
    "project.norm": "bn2",
}
_OTHERS = {
    "expand.conv": "conv_pw",
    "expand.norm": "bn1",
    "depthwise.conv": "conv_dw",
    "depthwise.norm": "bn2",
    "project.conv": "conv_pwl",
    "project.norm": "bn3",
}


def understand(checkpoints: Sequence[Checkpoint]) -> Foreign:
    """Interpret the encoder; the ImageNet classifier and the convolution before it are ignored. Raises
    CheckpointError."""
    checkpoint = only(checkpoints, "timm_efficientnet_lite")
    tensors, where = checkpoint.tensors, str(checkpoint.path)
    _require_kind(checkpoint)
    blocks = sorted(
        {
            (int(found[1]), int(found[2]))
            for name in tensors
            if (found := re.match(r"blocks\.(\d+)\.(\d+)\.", name))
        }
    )

    def names(ours: str) -> tuple[str, ...]:
        module, _, tensor = ours.removeprefix("encoder.").rpartition(".")
        if module.startswith("stem."):
            return (f"{'conv_stem' if module == 'stem.conv' else 'bn1'}.{tensor}",)
        _, number, inner = module.split(".", 2)
        at = int(number)
        stage, place = blocks[at] if at < len(blocks) else (len(blocks), at)  # no name of the file
        inside = _OTHERS if at else _FIRST
        return (f"blocks.{stage}.{place}.{inside[inner]}.{tensor}",)

    layout = Layout(names, ignored=r"conv_head\.|bn2\.|classifier\.", absent=("fusion", "classifier"))
    backbone = closest_backbone(tensors, layout, EFFICIENTNET_SPECS)
    return Foreign(where, tensors, layout, {"architecture": "per_frame", "backbone": backbone})


def _require_kind(checkpoint: Checkpoint) -> None:
    """Raise CheckpointError unless config.json beside the file, or the file's own name, says that it is a
    network with TensorFlow's padding."""
    noted = read_json(checkpoint.path.with_name(CONFIG)).get("architecture")
    name = str(noted or checkpoint.path.name).replace("-", "_")
    if re.search(r"tf_efficientnet_lite\d", name):
        return
    if noted or (found := re.search(r"efficientnet_lite\d", name)):
        kind = noted or (found[0] if found else "")
        raise CheckpointError(
            f"{checkpoint.path} is timm's {kind}; of timm's EfficientNets only tf_efficientnet_lite0 to 4 "
            "have the padding and the epsilon of efficientnet_lite here. Give one of these, or train with "
            f"the backbone timm/{kind}, whose --init-encoder takes this file"
        )
    raise CheckpointError(
        f"{checkpoint.path} has timm's names of an EfficientNet, but its own name is not that of one that "
        "can be imported: tf_efficientnet_lite0 to 4 (efficientnet_lite0 has the same names and shapes, and "
        "pads otherwise). If it is one, name the file so, as in tf_efficientnet_lite0.pth, or put its "
        "config.json beside it; else train with the backbone timm/NAME, whose --init-encoder takes this file"
    )
