# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The keyframe budget, and the clock that runs on stamps."""

import numpy as np
import pytest

from dcfm_ros.pipeline.budget import KeyframeBudget, StampClock

SECOND = 1_000_000_000


def taken(budget, times_s, borrowed=False):
    """Return the times that got a keyframe, with one requested at each."""
    found = []
    for time_s in times_s:
        now_ns = round(time_s * SECOND)
        if budget.allows(now_ns, borrowed):
            budget.take(now_ns)
            found.append(time_s)
    return found


def test_without_a_rate_there_is_no_bound():
    budget = KeyframeBudget()
    assert len(taken(budget, np.zeros(1000))) == 1000 and budget.wait_s(0) == 0.0


@pytest.mark.parametrize("hz", [0.2, 1.0, 4.0, 7.3])
def test_rate_in_the_long_run(hz):
    found = taken(KeyframeBudget(hz), np.arange(0, 60, 0.01))
    assert hz * 60 - 1 <= len(found) <= hz * 60 + max(1, hz)


@pytest.mark.parametrize("borrowed", [False, True])
@pytest.mark.parametrize("hz", [0.5, 3.0])
def test_bursts_are_bounded_whatever_comes(hz, borrowed):
    rng = np.random.default_rng(0)
    times = np.sort(rng.uniform(0, 100, 3000) * rng.integers(0, 2, 3000))  # half of them at once
    budget, found = KeyframeBudget(hz), []
    for time_s in times:
        found += taken(budget, [time_s], borrowed and rng.random() < 0.5)
    found = np.array(found)
    bound = 2 * max(1.0, hz) if borrowed else max(1.0, hz)
    for start in np.arange(0, 90, 0.7):
        for span in (0.1, 1.0, 10.0):
            assert ((found >= start) & (found <= start + span)).sum() <= hz * span + bound + 1e-6


def test_debts_are_paid_off():
    budget = KeyframeBudget(2.0)
    assert len(taken(budget, [0.0] * 10, borrowed=True)) == 4  # two saved, two borrowed
    assert budget.wait_s(0) == pytest.approx(1.5) and budget.wait_s(0, borrowed=True) == pytest.approx(0.5)
    assert not budget.allows(round(1.49 * SECOND)) and budget.allows(round(1.5 * SECOND))


def test_another_rate_keeps_no_more_than_it_would_have_saved():
    budget = KeyframeBudget(10.0)
    budget.set_rate(2.0)
    assert len(taken(budget, [0.0] * 10)) == 2
    budget.set_rate(0.0)
    assert len(taken(budget, [0.0] * 10)) == 10


def test_stamp_clock_follows_the_camera_that_has_come_furthest():
    clock = StampClock(silence_s=2.0)
    assert clock.advance("front", 500 * SECOND) == 0
    assert clock.advance("rear", 3 * SECOND) == 0  # clocks need not agree
    assert clock.advance("front", 501 * SECOND) == SECOND
    assert clock.advance("rear", 3 * SECOND + 100) == SECOND
    assert clock.advance("late", 9 * SECOND) == SECOND  # joins now
    assert clock.advance("late", 10 * SECOND) == 2 * SECOND


def test_stamps_that_jump_do_not_fill_the_budget():
    clock = StampClock(silence_s=2.0)
    for number in range(1, 100):
        clock.advance("", (number % 2) * 3600 * SECOND)
    assert clock.now_ns == 50 * 2 * SECOND - 2 * SECOND
    before = clock.now_ns
    assert clock.advance("", 0) == before
