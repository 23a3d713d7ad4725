# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From costs to keyframes: as many as the share allows."""

import itertools
from dataclasses import replace

import pytest
from plan_helpers import COSTS

from dcfm_ros.benchmark.plan.schedule import MARGIN, Costs, Schedule, Wish, schedule_for
from dcfm_ros.pipeline.settings import SchedulerConfig

WISH = Wish(10.0, 1, 2, 0.5)  # one processor second per second


def scheduled(least: int, most: int, budget_hz: float, keyframe_hz: float) -> Schedule:
    config = SchedulerConfig(min_interval=least, max_interval=most, keyframe_budget_hz=budget_hz)
    return Schedule(config, keyframe_hz)


@pytest.mark.parametrize(
    "wish, costs, found",
    [
        # 0.95 of a second, less 10 frames of 25 ms: 0.7 s for keyframes of 200 ms
        (WISH, COSTS, scheduled(2, 3, 3.5, 3.5)),
        (WISH, replace(COSTS, keyframe_s=0.07), scheduled(1, 1, 0.0, 10.0)),
        (WISH, replace(COSTS, keyframe_s=0.08), scheduled(1, 2, 8.75, 8.75)),
        # the encoder is slower than the share allows; all of its time is never planned with
        (WISH, replace(COSTS, encoder_hz=2.0), scheduled(2, 6, 1.8, 1.8)),
        # as many keyframes as frames, but for what began or ended in the measurement
        (WISH, replace(COSTS, keyframe_s=0.01, encoder_hz=9.8), scheduled(1, 1, 0.0, 10.0)),
        # two cameras share the keyframes: 0.95 less 20 frames of 25 ms is 0.45 s
        (replace(WISH, cameras=2), COSTS, scheduled(2, 9, 2.25, 2.25)),
        # less than the fewest keyframes: those, and the verdict will say that they do not fit
        (WISH, replace(COSTS, keyframe_s=3.0), scheduled(2, 10, 1.0, 1.0)),
        (replace(WISH, share=0.1), COSTS, scheduled(2, 10, 1.0, 1.0)),
        (Wish(1.0, 1, 2, 0.5), replace(COSTS, keyframe_s=3.0), scheduled(1, 1, 0.0, 1.0)),
        # keyframes that cost the processor nothing, as on a GPU
        (WISH, replace(COSTS, keyframe_s=0.0), scheduled(1, 1, 0.0, 10.0)),
        (WISH, Costs(0.02, 0.0, 0.0, 0.005, per_frame=True), Schedule(SchedulerConfig(), 10.0)),
    ],
)
def test_as_many_keyframes_as_the_share_allows(wish, costs, found):
    assert schedule_for(wish, costs) == found


def test_the_load():
    assert COSTS.load(WISH, 3.5) == pytest.approx(10 * 0.025 + 3.5 * 0.2)
    assert COSTS.load(replace(WISH, cameras=2), 3.5) == pytest.approx(20 * 0.025 + 3.5 * 0.2)
    assert replace(COSTS, per_frame=True).load(WISH, 3.5) == pytest.approx(0.25)


def test_what_is_planned_is_within_the_share_or_the_fewest_keyframes():
    for rate, cameras, share, frame, keyframe, encoder in itertools.product(
        (1.0, 7.5, 15.0, 29.97), (1, 3), (0.1, 0.6, 1.0), (0.003, 0.02), (0.02, 0.3), (0.7, 5.0, 100.0)
    ):
        wish, costs = Wish(rate, cameras, 2, share), Costs(frame, keyframe, encoder, 0.002)
        schedule = schedule_for(wish, costs)
        scheduler = schedule.scheduler
        assert 1 <= scheduler.max_interval <= wish.longest_interval
        if scheduler.max_interval < wish.longest_interval:
            assert costs.load(wish, schedule.keyframe_hz) <= MARGIN * wish.capacity + 1e-3
        if scheduler.keyframe_budget_hz:  # else keyframes would be overdue
            assert scheduler.keyframe_budget_hz >= wish.frames_hz / scheduler.max_interval - 1e-9
