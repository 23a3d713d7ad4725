# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Graphs on disk: found again, never trusted beyond their key, and never needed."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

openvino = pytest.importorskip("openvino", reason="OpenVINO is not installed")
from helpers import tiny_model, write_tiny_model

from dcfm_ros.pipeline.backends import network_cache
from dcfm_ros.pipeline.backends.base import status_of
from dcfm_ros.pipeline.backends.network_cache import DIGESTS_FILE
from dcfm_ros.pipeline.backends.openvino import conversion, store
from dcfm_ros.pipeline.backends.openvino.backend import OpenVINOBackend
from dcfm_ros.pipeline.backends.openvino.graphs import STRUCTURE_FILE
from dcfm_ros.pipeline.backends.openvino.store import GraphStore

# Not ours: OpenVINO's converter traces, and PyTorch wants that no more.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.jit")

SIZE = (64, 96)
IMAGE = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "dcfm_ros" / "openvino"


@pytest.fixture(scope="module")
def graphs(tmp_path_factory):
    """A folder for graphs, which the first conversion writes."""
    return tmp_path_factory.mktemp("graphs") / "graphs"


@pytest.fixture(autouse=True)
def conversions(monkeypatch, graphs):
    """The sizes for which models are converted; None: any.

    A conversion takes seconds, and what a store keeps does not depend on what is in it: all models here have
    the graphs of the first.
    """
    found, convert = [], conversion.convert_parts

    def counted(parts, folder, size=None, trusted=False):
        found.append(size)
        if not graphs.exists():
            graphs.mkdir()
            convert(parts, graphs)
        shutil.copytree(graphs, folder, dirs_exist_ok=True)

    monkeypatch.setattr(conversion, "convert_parts", counted)
    return found


def logits(model, size=SIZE):
    backend = OpenVINOBackend(model, "f32")
    shallow = backend.shallow(IMAGE[: size[0], : size[1]].copy())
    return backend.decode(shallow, [backend.deep(shallow)]).copy()


def start(model, size=SIZE):
    """What a start asks the store for."""
    return GraphStore(model).graphs(openvino.Core(), size)


def entries(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_model_is_converted_once_for_all_sizes(folder, conversions):
    first = logits(tiny_model())
    assert np.array_equal(logits(tiny_model()), first)
    logits(tiny_model(), (32, 64))
    assert conversions == [None] and len(entries(folder)) == 1


def test_a_model_that_depends_on_its_size_is_converted_for_each(folder, conversions, monkeypatch):
    read = store.Structure.read
    monkeypatch.setattr(store.Structure, "read", lambda folder: read(folder)._replace(any_size=False))
    for size in (SIZE, (32, 64), SIZE):
        start(tiny_model(), size)
    assert conversions == [None, SIZE, (32, 64)] and len(entries(folder)) == 3


def test_key_depends_on_weights_and_settings(folder):
    other = tiny_model()
    with torch.no_grad():
        other.head.classifier.weight[0] += 1e-6
    for model in (tiny_model(), other, tiny_model(image_mean=(0.1, 0.2, 0.3)), tiny_model()):
        start(model)
    assert len(entries(folder)) == 3


def test_key_depends_on_the_code_of_the_network(folder, monkeypatch):
    start(tiny_model())
    monkeypatch.setattr(store, "_code", lambda: "another forward")
    start(tiny_model())
    assert len(entries(folder)) == 2


def flipped(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize(
    "file, damage",
    [
        (STRUCTURE_FILE, lambda file: file.write_text("no network")),
        ("shallow.xml", flipped),
        ("deep.bin", flipped),  # weights that would make other masks
        ("decoder.npz", os.unlink),
        (DIGESTS_FILE, flipped),
    ],
)
def test_damaged_entry_is_converted_again(folder, caplog, conversions, file, damage):
    start(tiny_model())
    (entry,) = entries(folder)
    whole = {path.name: path.read_bytes() for path in (folder / entry).iterdir()}
    damage(folder / entry / file)
    start(tiny_model())
    assert {path.name: path.read_bytes() for path in (folder / entry).iterdir()} == whole
    assert "cannot read the cached network" in caplog.text
    assert entries(folder) == [entry] and len(conversions) == 2


def test_an_entry_that_others_can_write_to_is_converted_again(folder, caplog, conversions):
    start(tiny_model())
    (entry,) = entries(folder)
    (folder / entry).chmod(0o777)
    start(tiny_model())
    assert f"every user can write to {folder / entry}" in caplog.text
    assert len(conversions) == 2 and (folder / entry).stat().st_mode & 0o022 == 0
    start(tiny_model())
    assert len(conversions) == 2


def test_a_cache_that_others_can_write_to_is_not_used(folder, caplog, monkeypatch, conversions, tmp_path):
    private = tmp_path / "private"
    monkeypatch.setattr(network_cache.environment, "temporary_folder", lambda: private)
    network_cache.environment.say_once.cache_clear()
    start(tiny_model())
    folder.chmod(0o777)
    for _ in range(2):
        start(tiny_model())
    assert len(conversions) == 2 and len(entries(private / "cache" / "dcfm_ros" / "openvino")) == 1
    said = f"every user can write to {folder}: networks are cached in {private}; take that right from others"
    assert caplog.text.count(said) == 1


def test_a_cache_is_closed_to_others_whatever_the_umask_is(folder, conversions):
    before = os.umask(0)
    try:
        for _ in range(2):
            start(tiny_model())
    finally:
        os.umask(before)
    assert len(conversions) == 1
    assert not any(path.stat().st_mode & 0o022 for path in (folder, *folder.rglob("*")))


def test_folder_that_cannot_be_written_only_costs_time(folder, caplog):
    wanted = logits(tiny_model())
    os.rename(folder, folder.with_name("before"))
    folder.write_text("a file where the folder should be")
    assert np.array_equal(logits(tiny_model()), wanted)
    assert "cannot cache the network" in caplog.text


def test_least_recently_used_entries_go(folder, monkeypatch):
    monkeypatch.setattr(store, "_MAX_MODELS", 2)
    for seed in range(4):
        start(tiny_model(seed=seed))
    assert len(entries(folder)) == 2
    start(tiny_model(seed=3))
    assert len(entries(folder)) == 2


@pytest.mark.slow
def test_no_start_loads_pytorch_into_its_process(folder, tmp_path):
    """The first lets another process convert, the second finds what that has left."""
    code = masks_of(write_tiny_model(tmp_path / "model"))
    for _ in range(2):
        assert in_python(code).stdout == "False\n"
        assert len(entries(folder)) == 1


@pytest.mark.slow
def test_what_is_wrong_with_a_model_is_said_where_it_is_used(folder, tmp_path):
    model = write_tiny_model(tmp_path / "model")
    (model / "weights.safetensors").write_bytes(b"no weights")
    assert "weights.safetensors is not a readable safetensors file" in in_python(masks_of(model)).stderr
    assert entries(folder) == []


def masks_of(model):
    """A program that makes a mask, and tells whether that has loaded PyTorch."""
    return (
        "import sys, numpy\n"
        "from dcfm_ros.model.stored import StoredModel\n"
        "from dcfm_ros.pipeline.frames import Frame\n"
        "from dcfm_ros.pipeline.segmenter import Segmenter\n"
        f"segmenter = Segmenter.of(StoredModel({str(model)!r}), 'openvino', 'cpu')\n"
        "segmenter.prepare()\n"
        "segmenter.process(Frame('', 0, numpy.zeros((90, 120, 3), numpy.uint8)))\n"
        "segmenter.stop()\n"
        "print('torch' in sys.modules)"
    )


@pytest.mark.slow
def test_conversions_report_to_nobody():
    code = (
        "import sys, torch; from dcfm_ros.pipeline.backends.openvino.conversion import converted; "
        "converted(torch.nn.Linear(2, 2), torch.zeros(1, 2)); print(sys.modules['openvino_telemetry'])"
    )
    ended = in_python(code)
    assert ended.stdout == "None\n", ended.stderr


def in_python(code):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "CI": ""},
    )


def test_what_is_compiled_is_said(monkeypatch):
    backend, said, graphs = OpenVINOBackend(tiny_model(), "f32"), [], GraphStore.graphs

    def watched(*arguments):
        said.append(status_of(backend)["state"])
        return graphs(*arguments)

    monkeypatch.setattr(GraphStore, "graphs", watched)
    backend.prepare(SIZE)
    assert said == ["compiling for images of 96x64"]
    assert status_of(backend)["state"] == "openvino on cpu in f32"
