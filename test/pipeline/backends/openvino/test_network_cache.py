# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The cache of converted networks: found again, never trusted beyond its key, and never needed."""

import os
import subprocess
import sys

import pytest
import torch

openvino = pytest.importorskip("openvino", reason="OpenVINO is not installed")
from helpers import tiny_model

from dcfm_ros.model.inference import fold
from dcfm_ros.pipeline.backends import network_cache as shared
from dcfm_ros.pipeline.backends.openvino import network_cache as cache


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "dcfm_ros" / "openvino"


def network():
    torch.manual_seed(1)
    return torch.nn.Linear(3, 2)


def convert(part):
    return openvino.convert_model(part, example_input=(torch.zeros(1, 3),), input=[(1, 3)])


def refuse():
    raise AssertionError("converted again although the network is cached")


def test_second_time_reads_the_stored_network(folder):
    core, part = openvino.Core(), network()
    key = cache.network_key(part, [(1, 3)])
    cache.cached_network(core, key, lambda: convert(part))
    again = core.compile_model(
        cache.cached_network(core, key, refuse), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    x = torch.rand(1, 3)
    assert torch.allclose(torch.from_numpy(again([x.numpy()])[0]), part(x), atol=1e-6)
    assert [p.name for p in folder.iterdir()] == [key]


def test_key_depends_on_weights_shapes_and_module():
    part, other = network(), network()
    assert cache.network_key(part, [(1, 3)]) == cache.network_key(other, [(1, 3)])
    with torch.no_grad():
        other.bias[0] += 1e-6
    keys = {
        cache.network_key(part, [(1, 3)]),
        cache.network_key(other, [(1, 3)]),
        cache.network_key(part, [(2, 3)]),
        cache.network_key(torch.nn.Sequential(part), [(1, 3)]),
    }
    assert len(keys) == 4


def test_key_depends_on_buffers_that_are_not_saved_with_the_model():
    keys = set()
    for mean in (0.0, 1.0):
        part = network()
        part.register_buffer("mean", torch.tensor([mean]), persistent=False)
        keys.add(cache.network_key(part, [(1, 3)]))
    assert len(keys) == 2


@pytest.mark.slow
def test_key_depends_on_the_code_of_the_network(tmp_path, monkeypatch):
    part = fold(tiny_model()).decoder
    before = cache.network_key(part, [(1, 3)])
    assert cache.network_key(part, [(1, 3)]) == before
    other = tmp_path / "inference.py"
    other.write_text("another forward")
    monkeypatch.setattr(shared.inspect, "getfile", lambda kind: str(other))
    assert cache.network_key(part, [(1, 3)]) != before


def test_damaged_entry_is_converted_again(folder, caplog):
    core, part = openvino.Core(), network()
    key = cache.network_key(part, [(1, 3)])
    (folder / key).mkdir(parents=True)
    (folder / key / "network.xml").write_text("no network")
    assert cache.cached_network(core, key, lambda: convert(part)) is not None
    assert "cannot read the cached network" in caplog.text


def test_folder_that_cannot_be_written_only_costs_time(folder, caplog):
    folder.parent.mkdir(parents=True)
    folder.write_text("a file where the folder should be")
    assert cache.cached_network(openvino.Core(), "key", lambda: convert(network())) is not None
    assert "cannot cache the network" in caplog.text


def test_least_recently_used_entries_go(folder, monkeypatch):
    monkeypatch.setattr(cache, "_MAX_NETWORKS", 2)
    core = openvino.Core()
    for number in range(4):
        cache.cached_network(core, f"key{number}", lambda: convert(network()))
    assert len(list(folder.iterdir())) == 2
    assert (folder / "key3").is_dir()


@pytest.mark.slow
def test_conversions_report_to_nobody():
    code = (
        "import sys, torch; from dcfm_ros.pipeline.backends.openvino.network_cache import converted; "
        "converted(torch.nn.Linear(2, 2), torch.zeros(1, 2)); print(sys.modules['openvino_telemetry'])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "CI": ""},
    )
    assert ended.stdout == "None\n", ended.stderr
