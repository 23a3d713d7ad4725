# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files that are no checkpoints, though they may be called so: each is named for what it is."""

import gzip
import tarfile
import zipfile

import numpy as np
import pytest
import torch
from importing_helpers import written
from safetensors.torch import save_file

from dcfm_ros.model.importing.checkpoint import CheckpointError, read_checkpoint

TENSORS = {"a.weight": torch.ones(2)}


def file_of(content):
    return lambda path: path.write_bytes(content)


def zipped(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/config.json", "{}")


def tarred(path):
    with tarfile.open(path, "w") as archive:
        archive.add(written(path.with_name("inside.pth"), TENSORS), "model/inside.pth")


def onnx_model(path):
    onnx = pytest.importorskip("onnx", reason="onnx is not installed; requirements/test.txt has it")
    info = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["x"], ["y"])],
        "g",
        [info],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])],
    )
    onnx.save(onnx.helper.make_model(graph), path)


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 1234\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    "write, message",
    [
        (file_of(POINTER), "is a pointer of Git LFS and not the file itself; run `git lfs pull`"),
        (file_of(b"<!DOCTYPE html><html></html>"), "is a web page or XML; download the checkpoint itself"),
        (file_of(b"\n  <HTML><body>404</body>"), "is a web page or XML"),
        (file_of(b'{"model_type": "segformer"}'), "is JSON text; give the weights"),
        (
            file_of(b"\x89HDF\r\n\x1a\n" + bytes(100)),
            "is an HDF5 file, as TensorFlow and Keras write them; give .* PyTorch weights",
        ),
        (file_of(gzip.compress(b"a" * 100)), "is a compressed file; unpack it"),
        (lambda path: np.save(path.open("wb"), np.ones(2)), "is a NumPy array; give a state dict"),
        (lambda path: np.savez(path.open("wb"), a=np.ones(2)), "is an archive of NumPy arrays"),
        (
            lambda path: torch.export.save(
                torch.export.export(torch.nn.Linear(1, 1), (torch.zeros(1, 1),)), path.open("wb")
            ),
            "is a program of TorchScript or torch.export",
        ),
        (zipped, "is a zip archive; unpack it"),
        (tarred, "is a tar archive; unpack it"),
        (onnx_model, "is an ONNX file; give the PyTorch checkpoint"),
        (
            lambda path: torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), path),
            "is a program of TorchScript .*could run code.*Save the state_dict",
        ),
    ],
)
@pytest.mark.parametrize("name", ("model.pth", "model.safetensors"))
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_other_files_are_named_with_the_remedy(tmp_path, write, message, name):
    write(tmp_path / name)
    with pytest.raises(CheckpointError, match=f"{name} {message}"):
        read_checkpoint(tmp_path / name)


def test_a_damaged_byte_is_not_read_as_a_weight(tmp_path):
    """PyTorch itself reads it without a word."""
    path = written(tmp_path / "model.pth", {"a.weight": torch.arange(1.0, 999.0)})
    content = path.read_bytes()
    middle = content.index(torch.tensor([500.0, 501.0]).numpy().tobytes())
    path.write_bytes(content[:middle] + b"\0" + bytes([content[middle + 1] ^ 255]) + content[middle + 2 :])
    with pytest.raises(
        CheckpointError,
        match="model.pth is damaged, as the checksum of model/data/0 in it tells; copy or download",
    ):
        read_checkpoint(path)


def test_a_header_whose_length_looks_like_another_kind_is_no_hindrance(tmp_path):
    """The first bytes of safetensors are a length, which may be those of gzip, zip or ONNX."""
    for beginning in (b"\x1f\x8b", b"PK", b"BZ"):
        path = tmp_path / "model.safetensors"
        save_file(TENSORS, path)
        content = path.read_bytes()
        size, wanted = int.from_bytes(content[:8], "little"), int.from_bytes(beginning, "little")
        path.write_bytes(
            wanted.to_bytes(8, "little") + content[8 : 8 + size].ljust(wanted) + content[8 + size :]
        )
        assert torch.equal(read_checkpoint(path).tensors["a.weight"], TENSORS["a.weight"])


def test_a_zip_whose_parts_overlap_or_grow_is_not_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(10**6))
    with pytest.raises(
        CheckpointError, match="bomb.pth is no file of torch.save, as it is compressed or its"
    ):
        read_checkpoint(tmp_path / "bomb.pth")


@pytest.mark.parametrize("lost", [8, 60])
def test_a_zip_that_lost_bytes_at_its_start(tmp_path, lost):
    path = written(tmp_path / "a.pth", TENSORS)
    path.write_bytes(b"PK\3\4" + path.read_bytes()[4 + lost :])
    with pytest.raises(CheckpointError, match="a.pth is broken or no checkpoint of PyTorch"):
        read_checkpoint(path)
