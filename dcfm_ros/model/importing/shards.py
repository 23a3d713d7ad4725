# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Weights in several files, as `save_pretrained` writes large models: an index says which tensor is in which
file."""

from __future__ import annotations

import re
from pathlib import Path

from torch import Tensor

from dcfm_ros.model.folder import some
from dcfm_ros.model.importing.checkpoint import Checkpoint, CheckpointError, read_checkpoint
from dcfm_ros.model.importing.json_file import read_json

INDEX = ".index.json"
_LONGEST_NAME = 200
_SHARD = re.compile(r"-\d{5}-of-(\d{5})\.(safetensors|bin)$")


def refuse_single_shard(path: Path) -> None:
    """Raise CheckpointError for a single file whose name says that it is one of several."""
    if found := _SHARD.search(path.name):
        raise CheckpointError(
            f"{path} is one of {int(found[1])} shards; give the folder that holds them and their index"
        )


def has_shards(folder: Path) -> bool:
    return any(_SHARD.search(path.name) for path in folder.iterdir())


def read_shards(index: Path) -> Checkpoint:
    """Read all tensors of an index, each from the file that it names."""
    files = read_json(index).get("weight_map")
    if not isinstance(files, dict) or not files or not all(isinstance(file, str) for file in files.values()):
        raise CheckpointError(
            f"{index} has no weight_map, which says where each tensor lies; copy or download it again"
        )
    shards = sorted(set(files.values()))
    if outside := [file for file in shards if Path(file).name != file or len(file) > _LONGEST_NAME]:
        raise CheckpointError(f"{index} names {some(outside)}, which is not beside it; save the model again")
    if missing := [file for file in shards if not (index.parent / file).is_file()]:
        raise CheckpointError(
            f"{index.parent} lacks {some(missing)} of {len(shards)} shards; copy or download all of them"
        )
    tensors: dict[str, Tensor] = {}
    for shard in shards:
        content = read_checkpoint(index.parent / shard).tensors
        names = [name for name, file in files.items() if file == shard]
        if lost := [name for name in names if name not in content]:
            raise CheckpointError(
                f"{index.parent / shard} lacks {some(lost)}, which {index.name} says it holds; copy or "
                "download both again"
            )
        tensors |= {name: content[name] for name in names}
    return Checkpoint(index, tensors)
