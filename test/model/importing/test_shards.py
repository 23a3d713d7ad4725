# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Weights in several files with an index."""

import json

import pytest
import torch
from importing_helpers import hugging_face, logits, per_frame
from safetensors.torch import save_file

from dcfm_ros.model.importing.checkpoint import CheckpointError
from dcfm_ros.model.importing.import_model import read_model

EPS = {"block_eps": 1e-5, "inner_eps": 1e-5}


@pytest.fixture(params=("model.safetensors", "pytorch_model.bin"))
def folder(request, tmp_path):
    """Three shards, as save_pretrained writes them; `folder.index` has the index."""
    stem, ending = request.param.split(".")
    tensors, shards = hugging_face(per_frame(**EPS)), {}
    for number, (name, tensor) in enumerate(tensors.items()):
        shards.setdefault(f"{stem}-{number % 3 + 1:05d}-of-00003.{ending}", {})[name] = tensor
    for file, part in shards.items():
        save_file(part, tmp_path / file) if ending == "safetensors" else torch.save(part, tmp_path / file)
    index = {
        "metadata": {"total_size": 1},
        "weight_map": {name: file for file, part in shards.items() for name in part},
    }
    (tmp_path / f"{request.param}.index.json").write_text(json.dumps(index))
    return tmp_path


def index_of(folder):
    return next(folder.glob("*.index.json"))


def shard(folder, number):
    return next(folder.glob(f"*-0000{number}-of-00003.*"))


def changed(folder, change):
    content = json.loads(index_of(folder).read_text())
    change(content)
    index_of(folder).write_text(json.dumps(content))


@pytest.mark.slow
def test_a_folder_of_shards_is_one_model(folder):
    for given in (folder, index_of(folder)):
        assert torch.equal(logits(read_model([given]).model), logits(per_frame(**EPS)))


@pytest.mark.slow
def test_shards_of_half_precision_with_a_prefix_are_read(tmp_path):
    """As a sharded training in bfloat16 leaves them, wrapped."""
    tensors = {f"model.{name}": tensor.bfloat16() for name, tensor in hugging_face(per_frame(**EPS)).items()}
    files = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    map_of = {name: files[number % 2] for number, name in enumerate(tensors)}
    for file in files:
        save_file({name: tensors[name] for name in tensors if map_of[name] == file}, tmp_path / file)
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": map_of}))
    found = read_model([tmp_path])
    assert found.prefix_notes == ("stripped the prefix 'model.'",)
    wanted = per_frame(**EPS).state_dict()
    for name, tensor in found.model.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            assert tensor.dtype == torch.float32 and torch.equal(tensor, wanted[name].bfloat16().float()), (
                name
            )


def test_a_missing_shard_is_named(folder):
    lost = shard(folder, 2)
    lost.unlink()
    with pytest.raises(CheckpointError, match=f"lacks {lost.name} of 3 shards; copy or download all of them"):
        read_model([folder])


def test_a_broken_shard_is_named(folder):
    shard(folder, 3).write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(CheckpointError, match=f"{shard(folder, 3).name} is a pointer of Git LFS"):
        read_model([folder])


def test_one_shard_by_itself_is_refused(folder):
    with pytest.raises(
        CheckpointError, match="is one of 3 shards; give the folder that holds them and their index"
    ):
        read_model([shard(folder, 1)])


def test_shards_without_their_index_are_refused(folder):
    index_of(folder).unlink()
    with pytest.raises(
        CheckpointError,
        match="holds shards but not their index; copy or download model.safetensors.index.json",
    ):
        read_model([folder])


@pytest.mark.slow
@pytest.mark.parametrize(
    "change, message",
    [
        (lambda index: index.pop("weight_map"), "has no weight_map"),
        (lambda index: index.update(weight_map={}), "has no weight_map"),
        (lambda index: index.update(weight_map={"a": 1}), "has no weight_map"),
        (
            lambda index: index["weight_map"].update(other=next(iter(index["weight_map"].values()))),
            r"lacks other, which .* says",
        ),
        (
            lambda index: index["weight_map"].update(other="../elsewhere.bin"),
            "names ../elsewhere.bin, which is not beside it",
        ),
        (
            lambda index: index["weight_map"].update(other="x" * 300),
            r"names x+\.\.\., which is not beside it",
        ),
    ],
)
def test_an_index_that_does_not_fit_is_named(folder, change, message):
    changed(folder, change)
    with pytest.raises(CheckpointError, match=message):
        read_model([folder])
