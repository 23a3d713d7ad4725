# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A camera whose stamps stand still: time goes by when its images arrive."""

from itertools import pairwise

import pytest
from pipeline_helpers import PERIOD_NS
from segmenter_helpers import MODES, bench  # noqa: F401

from dcfm_ros.pipeline.camera_clock import CameraClock
from dcfm_ros.pipeline.frames import Reason
from dcfm_ros.pipeline.settings import Mode, SchedulerConfig

SECOND = 1_000_000_000


def gaps(*frames):
    """ns from frame to frame, of (stamp, arrival)."""
    clock = CameraClock()
    return [after - before for before, after in pairwise([clock.time_ns(*frame) for frame in frames])]


@pytest.mark.parametrize(
    "frames, expected",
    [
        ([(7, 500), (10, 900), (40, 901), (30, 902)], [3, 30, -10]),  # stamps alone
        ([(0, 500), (0, 530), (0, 560)], [30, 30]),  # arrivals alone
        (
            [(0, 500), (0, 530), (100, 566), (100, 610), (200, 640)],
            [30, 70, 44, 56],
        ),  # each sent twice: no time is won
        ([(0, 500), (0, 900), (33, 933), (66, 966)], [400, 0, 33]),  # the stamp has stood, and goes on
        ([(5, 500), (5, 600), (0, 610)], [100, -5]),  # runs back
        ([(5, 0), (5, 0)], [0]),  # nobody knows of arrivals
        ([(5, 700), (5, 600), (5, 710)], [0, 10]),  # nor does an arrival run back
    ],
)
def test_time(frames, expected):
    assert gaps(*frames) == expected


def test_it_tells_for_how_long_the_stamp_stands():
    clock, seen = CameraClock(), []
    for stamp_ns, arrival_s in ((0, 10), (0, 11), (0, 14), (5, 15), (5, 17)):
        clock.time_ns(stamp_ns, arrival_s * SECOND)
        seen.append(clock.stands_s)
    assert seen == [0.0, 1.0, 4.0, 0.0, 2.0]


@pytest.mark.parametrize("stamp_ns", [0, 1_700_000_000 * SECOND])
def test_keyframes_under_a_budget_go_on(bench, stamp_ns):
    """Keyframes equal those of the same camera with stamps."""

    def keyframes(**stamps):
        made = bench(Mode.SYNC)
        made.segmenter.reconfigure(SchedulerConfig(1, 2, keyframe_budget_hz=1.0))
        masks = [
            mask for tag in range(90) for mask in made.process(tag, arrival_ns=tag * PERIOD_NS, **stamps)
        ]
        return [mask.feature_age_frames for mask in masks]

    ages = keyframes(stamp_ns=stamp_ns)
    assert ages == keyframes() and 6 <= ages.count(0) <= 8 and ages == keyframes(stamp_ns=stamp_ns)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("gap_ns, resets", [(2 * SECOND, 0), (2 * SECOND + 1, 1)])
def test_silence_begins_a_new_sequence(bench, mode, gap_ns, resets):
    bench = bench(mode)
    for tag, arrival_ns in enumerate((SECOND, SECOND + PERIOD_NS, SECOND + PERIOD_NS + gap_ns)):
        bench.process(tag, stamp_ns=0, arrival_ns=arrival_ns)
    assert bench.status().resets == resets
    if resets:
        assert [bench.keyframe().reason for _ in range(2)] == [Reason.FIRST, Reason.RESET]


def test_status(bench):
    bench = bench(Mode.SYNC)
    for tag in range(4):
        bench.process(tag, stamp_ns=0, arrival_ns=tag * SECOND)
    assert bench.status().stamp_stands_s == 3.0
    bench.process(4, stamp_ns=1, arrival_ns=4 * SECOND)
    assert bench.status().stamp_stands_s == 0.0
