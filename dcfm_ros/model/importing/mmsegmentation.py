# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""SegFormer of MMSegmentation: its own names of MiT and of the decode head, and the encoder alone.

Another network than NVlabs' in two places: all LayerNorms have eps 1e-6, and in the decode head each stage
passes a convolution, batch norm and ReLU instead of a linear layer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import Tensor

from dcfm_ros.model.backbone_specs import MIT_SPECS
from dcfm_ros.model.importing.checkpoint import Checkpoint
from dcfm_ros.model.importing.foreign import Foreign, only
from dcfm_ros.model.importing.layout import Layout, closest_backbone, shape
from dcfm_ros.model.importing.noted_classes import noted_classes

SIGNS = ("backbone.layers.0.0.projection.", "layers.0.0.projection.")
EPS = 1e-6

FUSE = "decode_head.fusion_conv.conv.weight"
# Rows of attention's one matrix: queries first, then keys and values, which are one layer in this package.
QUERY, KEY_AND_VALUE = " (query)", " (key and value)"

# Our module; theirs. {0}: stage, from 0; {1}: block.
_MODULES = (
    (r"encoder\.patch_embed(\d)\.proj", "layers.{0}.0.projection"),
    (r"encoder\.patch_embed(\d)\.norm", "layers.{0}.0.norm"),
    (r"encoder\.norm(\d)", "layers.{0}.2"),
    (r"encoder\.block(\d)\.(\d+)\.(norm[12]|attn\.sr|attn\.norm)", "layers.{0}.1.{1}.{2}"),
    (r"encoder\.block(\d)\.(\d+)\.attn\.proj", "layers.{0}.1.{1}.attn.attn.out_proj"),
    (r"encoder\.block(\d)\.(\d+)\.mlp\.fc1", "layers.{0}.1.{1}.ffn.layers.0"),
    (r"encoder\.block(\d)\.(\d+)\.mlp\.dwconv\.dwconv", "layers.{0}.1.{1}.ffn.layers.1"),
    (r"encoder\.block(\d)\.(\d+)\.mlp\.fc2", "layers.{0}.1.{1}.ffn.layers.4"),
    (r"fusion\.linear_c(\d)\.(conv|bn)", "decode_head.convs.{0}.{1}"),
    (r"fusion\.linear_fuse\.(conv|bn)", "decode_head.fusion_conv.{}"),
    (r"classifier", "decode_head.conv_seg"),
)


def understand(checkpoints: Sequence[Checkpoint]) -> Foreign:
    """Interpret an MMSegmentation checkpoint: SegFormer with its classes, or its encoder alone. Raises
    CheckpointError."""
    checkpoint = only(checkpoints, "mmsegmentation")
    tensors, where = _in_our_form(checkpoint.tensors), str(checkpoint.path)
    before = "backbone." if any(name.startswith(SIGNS[0]) for name in tensors) else ""
    encoder = Layout(lambda ours: _names(ours, before), absent=("fusion", "classifier"))
    settings: dict[str, str | int | float] = {
        "architecture": "per_frame",
        "backbone": closest_backbone(tensors, encoder, MIT_SPECS),
        "block_eps": EPS,
        "inner_eps": EPS,
    }
    if not any(name.startswith("decode_head.") for name in tensors):
        return Foreign(where, tensors, encoder, settings)
    settings |= {"fusion": "relu", "embed": shape(tensors, FUSE, 4, where)[0]}
    count = shape(tensors, "decode_head.conv_seg.weight", 4, where)[0]
    layout = Layout(lambda ours: _names(ours, before))
    return Foreign(where, tensors, layout, settings, count, lambda: noted_classes(checkpoint))


def _in_our_form(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors with attention's matrix in two, linear layers of two dimensions, and the fusion's
    inputs in our order: the last stage first. What has another shape is left for the check of shapes."""
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if re.search(r"\.attn\.attn\.in_proj_(weight|bias)$", name) and _divides(tensor, 0, 3):
            found[name + QUERY], *rest = tensor.chunk(3)
            found[name + KEY_AND_VALUE] = torch.cat(rest)
        elif re.search(r"\.ffn\.layers\.[04]\.weight$", name) and tensor.shape[2:] == (1, 1):
            found[name] = tensor[:, :, 0, 0]
        elif name == FUSE and tensor.ndim == 4 and _divides(tensor, 1, 4):
            found[name] = torch.cat(tensor.chunk(4, dim=1)[::-1], dim=1)
        else:
            found[name] = tensor
    return found


def _divides(tensor: Tensor, dimension: int, by: int) -> bool:
    plain = tensor.layout is torch.strided and not tensor.is_quantized  # others are refused later, by name
    return plain and tensor.ndim > dimension and tensor.shape[dimension] % by == 0


def _names(ours: str, before: str) -> tuple[str, ...]:
    """Return the file's name for ours. before: of the encoder's names"""
    module, _, kind = ours.rpartition(".")  # kind: weight, bias, running_mean, ...
    if found := re.fullmatch(r"encoder\.block(\d)\.(\d+)\.attn\.(q|kv)", module):
        rows = QUERY if found[3] == "q" else KEY_AND_VALUE
        return (f"{before}layers.{int(found[1]) - 1}.1.{found[2]}.attn.attn.in_proj_{kind}{rows}",)
    for pattern, theirs in _MODULES:
        if found := re.fullmatch(pattern, module):
            first, *rest = found.groups() or ("",)
            stage = int(first) - 1 if first.isdigit() else first  # ours start at 1
            return (f"{before if ours.startswith('encoder.') else ''}{theirs.format(stage, *rest)}.{kind}",)
    raise KeyError(ours)
