# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How long masks are bad after a hard cut, on pictures that stand still but for the cut."""

import numpy as np
import pytest
from helpers import tiny_model
from studies.recovery import BEFORE, SETTLED, _serving, recoveries

from dcfm_ros.pipeline.backends.torch_cpu import TorchBackend
from dcfm_ros.pipeline.settings import SchedulerConfig
from dcfm_ros.sources.frame import VideoFrame

SIZE = (64, 96)
CUT = BEFORE + 3
NO_INTERVALS = SchedulerConfig(min_interval=2, max_interval=1000)


def scene(seed):
    return np.random.default_rng(seed).integers(20, 220, (8, 12, 3), np.uint8).repeat(8, 0).repeat(8, 1)


class TwoShots:
    """A video that cuts at frame CUT."""

    def frame(self, index):
        return VideoFrame(index, index * 66_666_667, scene(int(index >= CUT)), None, index == CUT)


@pytest.mark.parametrize("delay", [1, 2, 4])
def test_the_cut_frame_serves_after_the_delay(delay):
    images = [TwoShots().frame(index).image for index in range(CUT + 20)]
    serving, requested = _serving(images, delay, NO_INTERVALS)
    assert serving == [0] * (CUT + delay) + [CUT] * (20 - delay) and requested == {0, CUT}


@pytest.mark.parametrize("interval", [2, 3, 5])
def test_what_runs_when_the_cut_comes_is_not_waited_for(interval):
    images = [TwoShots().frame(index).image for index in range(CUT + 20)]
    serving, requested = _serving(images, 4, SchedulerConfig(min_interval=1, max_interval=interval))
    assert serving[CUT + 3] < CUT and serving[CUT + 4] == CUT and CUT in requested
    assert all(later >= earlier for earlier, later in zip(serving, serving[1:]))


def test_while_the_encoder_is_busy_the_newest_frame_that_is_due_waits():
    images = [scene(0)] * 20
    serving, requested = _serving(images, 4, SchedulerConfig(min_interval=1, max_interval=2))
    # 0 serves at once; 2 runs until 6, and then 5, the newest that is due, until 10
    assert serving[:14] == [0] * 6 + [2] * 4 + [5] * 4
    assert {2, 4, 5, 7} <= requested and not {1, 3, 6} & requested


@pytest.mark.slow
def test_frames_until_masks_have_recovered():
    found = recoveries(TorchBackend(tiny_model()), SIZE, TwoShots(), CUT, (2, 4), NO_INTERVALS)
    assert [(row.delay, row.frames, row.requested) for row in found] == [(2, 2, True), (4, 4, True)]
    for row in found:
        assert row.cut == CUT and row.level == 1.0 and row.on_cut < 0.95


@pytest.mark.slow
def test_masks_that_recover_too_late():
    (row,) = recoveries(TorchBackend(tiny_model()), SIZE, TwoShots(), CUT, (SETTLED + 1,), NO_INTERVALS)
    assert row.frames is None and row.requested and row.level < 1.0


def test_what_cannot_be_measured_is_refused():
    backend = TorchBackend(tiny_model())
    with pytest.raises(
        ValueError, match=f"cut at frame 3: {BEFORE} frames are needed before it, take a later one"
    ):
        recoveries(backend, SIZE, TwoShots(), 3, (2,))
    with pytest.raises(ValueError, match="delay 0: use 1 frame or more"):
        recoveries(backend, SIZE, TwoShots(), CUT, (0, 2))
