# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reading foreign files: plain tensors only, whatever else is in them."""

import os
import pickle

import pytest
import torch
from importing_helpers import written
from safetensors.torch import save, save_file

from dcfm_ros.model.importing.checkpoint import CheckpointError, read_checkpoint

TENSORS = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(3)}


def same(found, expected) -> bool:
    return list(found) == list(expected) and all(
        torch.equal(found[name], expected[name]) for name in expected
    )


@pytest.mark.slow
def test_every_kind_of_file_gives_its_tensors(tmp_path):
    save_file(TENSORS, tmp_path / "a.safetensors")
    torch.save(TENSORS, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    for path in (tmp_path / "a.safetensors", tmp_path / "old.pth", written(tmp_path / "a.pth", TENSORS)):
        checkpoint = read_checkpoint(path)
        assert same(dict(sorted(checkpoint.tensors.items())), dict(sorted(TENSORS.items())))
        assert checkpoint.path == path and checkpoint.meta == {}


def test_the_content_tells_what_a_file_is_and_not_its_ending(tmp_path):
    written(tmp_path / "a.safetensors", TENSORS)
    save_file(TENSORS, tmp_path / "a.pth")
    for name in ("a.safetensors", "a.pth"):
        assert same(
            dict(sorted(read_checkpoint(tmp_path / name).tensors.items())), dict(sorted(TENSORS.items()))
        )


def test_of_a_training_checkpoint_only_the_state_dict_is_taken(tmp_path):
    optimizer = {
        "state": {0: {"step": 9, "exp_avg": torch.zeros(3)}},
        "param_groups": [{"lr": 6e-5, "params": [0]}],
    }
    path = written(
        tmp_path / "iter_160000.pth",
        {"meta": {"iter": 160000, "CLASSES": ("a", "b")}, "state_dict": TENSORS, "optimizer": optimizer},
    )
    checkpoint = read_checkpoint(path)
    assert same(checkpoint.tensors, TENSORS) and checkpoint.meta == {"iter": 160000, "CLASSES": ("a", "b")}


@pytest.mark.parametrize("name", ("model", "model_state_dict", "net", "params", "module", "weights"))
def test_the_only_state_dict_in_a_file_is_taken(tmp_path, name):
    beside = {
        "epoch": 3,
        "optimizer": {"state": {}, "param_groups": []},
        "scheduler": {},
        "best": torch.tensor(0.5),
        "args": None,
    }
    assert same(read_checkpoint(written(tmp_path / "a.pth", beside | {name: TENSORS})).tensors, TENSORS)
    for nested in (
        {name: {"state_dict": TENSORS}},
        {"last": {name: TENSORS}},
        {"state_dict": {name: TENSORS}},
    ):
        assert same(read_checkpoint(written(tmp_path / "a.pth", beside | nested)).tensors, TENSORS)


def test_several_state_dicts_keep_their_places_before_their_names(tmp_path):
    several = {"model": TENSORS, "ema": {"state_dict": TENSORS, "decay": 0.99}, "epoch": 3}
    found = read_checkpoint(written(tmp_path / "a.pth", several)).tensors
    assert list(found) == [
        "model.a.weight",
        "model.a.bias",
        "ema.state_dict.a.weight",
        "ema.state_dict.a.bias",
    ]
    assert same(
        read_checkpoint(
            written(tmp_path / "a.pth", {"state_dict": TENSORS, "ema_state_dict": TENSORS})
        ).tensors,
        TENSORS,
    )


class Trap:
    """Touches a file where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch '{self.path}'",)


@pytest.mark.parametrize(
    "write",
    [
        torch.save,
        lambda content, path: torch.save(content, path, _use_new_zipfile_serialization=False),
        lambda content, path: torch.save({"state_dict": content}, path),
        lambda content, path: torch.save({"state_dict": TENSORS, "optimizer": content}, path),
        lambda content, path: path.write_bytes(pickle.dumps(content, protocol=2)),
        lambda content, path: path.write_bytes(pickle.dumps(content, protocol=4)),
    ],
    ids=["zip", "legacy", "nested", "beside", "pickle 2", "pickle 4"],
)
def test_a_file_that_would_run_code_is_refused_and_runs_none(tmp_path, write):
    sprung = tmp_path / "sprung"
    write({"weight": torch.ones(2), "trap": Trap(sprung)}, tmp_path / "model.pth")
    with pytest.raises(
        CheckpointError, match="model.pth (holds Python objects .*could run|is broken or no checkpoint)"
    ):
        read_checkpoint(tmp_path / "model.pth")
    assert not sprung.exists()
    with open(tmp_path / "control", "wb") as file:  # the trap is a real one
        pickle.dump(Trap(sprung), file)
    with open(tmp_path / "control", "rb") as file:
        pickle.load(file)
    assert sprung.exists()


def test_a_whole_module_is_refused_by_name(tmp_path):
    path = written(tmp_path / "model.pth", torch.nn.Linear(2, 2))
    with pytest.raises(
        CheckpointError, match=r"objects \(torch.nn.modules.linear.Linear\).*save its state_dict"
    ):
        read_checkpoint(path)


def test_broken_files_are_named(tmp_path):
    whole = written(tmp_path / "whole.pth", TENSORS).read_bytes()
    half, beginning = whole[: len(whole) // 2], whole[:10]
    for content in (b"\x89PNG\r\n\x1a\n" + bytes(50), b"oid sha256:", half, beginning):
        (tmp_path / "model.pth").write_bytes(content)
        with pytest.raises(CheckpointError, match="model.pth is broken or no checkpoint of PyTorch"):
            read_checkpoint(tmp_path / "model.pth")
    safe = save(TENSORS)
    for content in (b"garbage of some length", safe[:10], safe[:60], safe[:-1]):
        (tmp_path / "model.safetensors").write_bytes(content)
        with pytest.raises(CheckpointError, match="model.safetensors is not a readable safetensors file"):
            read_checkpoint(tmp_path / "model.safetensors")


@pytest.mark.parametrize("name", ("model.pth", "model.safetensors"))
def test_missing_and_empty_files_are_named(tmp_path, name):
    with pytest.raises(CheckpointError, match=f"there is no file .*{name}"):
        read_checkpoint(tmp_path / name)
    (tmp_path / name).touch()
    with pytest.raises(CheckpointError, match=f"{name} is empty"):
        read_checkpoint(tmp_path / name)


@pytest.mark.parametrize(
    "content, message",
    [
        ([torch.ones(1)], "holds a list, not a state dict"),
        (torch.ones(1), "holds a Tensor, not a state dict"),
        ({}, "holds no tensors"),
        ({"state_dict": {}}, "holds no tensors"),
        (
            {"epoch": 3, "a": torch.ones(1)},
            r"is no state dict, as it holds epoch \(int\); save the model's state_dict",
        ),
        (
            {"state_dict": {"a": torch.ones(1), "b": (1, 2)}},
            r"is no state dict, as it holds b \(tuple\); save",
        ),
        ({"fc._packed_params.dtype": torch.qint8}, "give weights that are not quantised"),
        ({"state_dict": [1]}, "holds a list, not a state dict"),
        ({"model": {"a": torch.ones(1), "b": 5}, "epoch": 1}, r"is no state dict, as it holds b \(int\)"),
        ({"a": torch.ones(1), 3: torch.ones(1)}, r"is no state dict, as it holds 3 \(Tensor\)"),
        ({"model": {}}, "holds no tensors"),
        ({"": torch.ones(1)}, "holds a tensor without a name"),
        (
            {"optimizer": {"state": {0: {"exp_avg": torch.ones(1)}}, "param_groups": []}},
            r"is no state dict, as it holds optimizer \(dict\)",
        ),
        ({0: torch.ones(1)}, r"is no state dict, as it holds 0 \(Tensor\)"),
    ],
)
def test_other_content_is_refused(tmp_path, content, message):
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(written(tmp_path / "model.pth", content))
