# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tensor names of SegFormer in `transformers`: those that `save_pretrained` writes, and the different ones of
`state_dict()` since version 5."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

Names = Callable[[str], tuple[str, ...]]  # maps our tensor name to theirs; several if ours stacks theirs

SIGNS = (
    "segformer.encoder.patch_embeddings.",
    "encoder.patch_embeddings.",
    "patch_embeddings.0.",
    "segformer.stages.0.patch_embeddings.",
    "stages.0.patch_embeddings.",
)

# Our module; theirs as saved; theirs as in `state_dict()`. {0}: stage, from 0; {1}: block.
_MODULES = (
    (r"encoder\.patch_embed(\d)\.proj", "patch_embeddings.{0}.proj", "stages.{0}.patch_embeddings.proj"),
    (
        r"encoder\.patch_embed(\d)\.norm",
        "patch_embeddings.{0}.layer_norm",
        "stages.{0}.patch_embeddings.layer_norm",
    ),
    (r"encoder\.norm(\d)", "layer_norm.{0}", "stages.{0}.layer_norm"),
    (
        r"fusion\.linear_c(\d)\.proj",
        "decode_head.linear_c.{0}.proj",
        "decode_head.linear_projections.{0}.proj",
    ),
    (r"fusion\.linear_fuse\.conv", "decode_head.linear_fuse", "decode_head.linear_fuse"),
    (r"fusion\.linear_fuse\.bn", "decode_head.batch_norm", "decode_head.batch_norm"),
    (r"classifier", "decode_head.classifier", "decode_head.classifier"),
)
# Below encoder.block<stage>.<block>, block.{0}.{1} and stages.{0}.blocks.{1}.
_IN_BLOCK = {
    "norm1": ("layer_norm_1", "layernorm_before"),
    "norm2": ("layer_norm_2", "layernorm_after"),
    "attn.q": ("attention.self.query", "attention.q_proj"),
    "attn.sr": ("attention.self.sr", "attention.sequence_reduction.sequence_reduction"),
    "attn.norm": ("attention.self.layer_norm", "attention.sequence_reduction.layer_norm"),
    "attn.proj": ("attention.output.dense", "attention.o_proj"),
    "mlp.fc1": ("mlp.dense1", "mlp.fc1"),
    "mlp.dwconv.dwconv": ("mlp.dwconv.dwconv", "mlp.dwconv.dwconv"),
    "mlp.fc2": ("mlp.dense2", "mlp.fc2"),
}
_KEYS_AND_VALUES = (("attention.self.key", "attention.self.value"), ("attention.k_proj", "attention.v_proj"))
_SAVED, _STATE_DICT = 0, 1


def names_in(tensors: Iterable[str]) -> Names:
    """Return the naming scheme of a file, recognised by its tensors."""
    for name in tensors:
        if found := re.match(
            r"((?:segformer\.)?(?:encoder\.)?)(patch_embeddings|block|layer_norm)\.\d", name
        ):
            return _names(_SAVED, found[1])
        if found := re.match(r"((?:segformer\.)?)stages\.\d", name):
            return _names(_STATE_DICT, found[1])
    return _names(_SAVED, "encoder.")


def saved(ours: str) -> tuple[str, ...]:
    """Return the names of SegformerForSemanticSegmentation in the files of `save_pretrained`."""
    return _names(_SAVED, "segformer.encoder.")(ours)


def _names(way: int, encoder: str) -> Names:
    def names(ours: str) -> tuple[str, ...]:
        module, _, kind = ours.rpartition(".")  # kind: weight, bias, running_mean, ...
        return tuple(f"{theirs}.{kind}" for theirs in _modules(module, way, encoder))

    return names


def _modules(ours: str, way: int, encoder: str) -> tuple[str, ...]:
    if found := re.fullmatch(r"encoder\.block(\d)\.(\d+)\.(.+)", ours):
        block = encoder + ("block.{0}.{1}.", "stages.{0}.blocks.{1}.")[way].format(
            _from_0(found[1]), found[2]
        )
        inside = _KEYS_AND_VALUES[way] if found[3] == "attn.kv" else (_IN_BLOCK[found[3]][way],)
        return tuple(block + name for name in inside)
    for pattern, *theirs in _MODULES:
        if found := re.fullmatch(pattern, ours):
            before = encoder if ours.startswith("encoder.") else ""
            return (before + theirs[way].format(*map(_from_0, found.groups())),)
    raise KeyError(ours)


def _from_0(stage: str) -> int:
    """Convert a stage number of ours, which start at 1."""
    return int(stage) - 1
