# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cache of compiled networks: how many are kept, and which."""

import threading

import numpy as np
import pytest
from helpers import tiny_model
from pipeline_helpers import PERIOD_NS, TIMEOUT_S, FakeBackend, wait
from segmenter_helpers import bench  # noqa: F401

from dcfm_ros.pipeline.backends import make_backend
from dcfm_ros.pipeline.frames import Frame
from dcfm_ros.pipeline.networks import _MAX_SIZES, Networks
from dcfm_ros.pipeline.settings import Mode


class Compiling(FakeBackend):
    """Notes what it compiles, and what of that it still has."""

    def __init__(self):
        super().__init__()
        self.compiled, self.has = [], set()

    def prepare(self, size):
        self.compiled.append(size)
        self.has.add(size)

    def forget(self, size):
        self.has.remove(size)


@pytest.fixture
def backend():
    return Compiling()


@pytest.fixture
def networks(backend):
    networks = Networks(backend)
    yield networks
    networks.stop()


def sizes(number):
    return [(32, 32 * (1 + at)) for at in range(number)]


def ready(networks, size, camera=""):
    networks.ready(size, camera).result(TIMEOUT_S)


def test_a_camera_whose_size_changes_each_time_keeps_a_few(networks, backend):
    for size in 5 * sizes(_MAX_SIZES):
        ready(networks, size)
    assert backend.compiled == sizes(_MAX_SIZES)  # none a second time
    for size in sizes(4 * _MAX_SIZES):
        ready(networks, size)
    networks.stop()
    assert backend.has == set(sizes(4 * _MAX_SIZES)[-_MAX_SIZES:])


def test_the_size_used_longest_ago_goes_first(networks, backend):
    first, second, *others = sizes(_MAX_SIZES + 1)
    for size in [first, second, *others[:-1], first, others[-1]]:
        ready(networks, size)
    networks.stop()
    assert backend.has == {first, *others}


def test_many_cameras_do_not_push_each_other_out(networks, backend):
    cameras = {f"camera{number}": size for number, size in enumerate(sizes(3 * _MAX_SIZES))}
    for _ in range(4):
        for camera, size in cameras.items():
            ready(networks, size, camera)
    assert backend.compiled == list(cameras.values()) and backend.has == set(cameras.values())


def test_what_is_being_compiled_is_not_forgotten(networks, backend):
    go, prepare = threading.Event(), backend.prepare
    backend.prepare = lambda size: (wait(go), prepare(size))
    waiting = [networks.ready(size) for size in sizes(2 * _MAX_SIZES)]
    go.set()
    for outcome in waiting:
        outcome.result(TIMEOUT_S)
    assert backend.has == set(sizes(2 * _MAX_SIZES))


@pytest.mark.slow
def test_masks_go_on_whatever_was_forgotten(bench, monkeypatch):
    """Two sizes in turn with a bound of one, so that each comes back after it was forgotten."""
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    monkeypatch.setattr("dcfm_ros.pipeline.networks._MAX_SIZES", 1)
    backend = make_backend("openvino", tiny_model(), "cpu", "f32")
    bench = bench(Mode.ASYNC, backend=backend)
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (*size, 3), np.uint8) for size in ((64, 96), (96, 64))]
    masks = []
    for number in range(8):
        masks += bench.segmenter.process(Frame("", number * PERIOD_NS, pictures[number // 2 % 2]))
        assert len(backend._by_size) <= 2 and len(backend._by_grid) <= 2
    assert len(masks) == 8 and not bench.errors
    assert np.array_equal(masks[0].mask, masks[4].mask) and np.array_equal(masks[2].mask, masks[6].mask)
