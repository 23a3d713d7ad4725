# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The time of a recording, on a clock that goes on only while something waits."""

import math

import pytest

from dcfm_ros.ros import bag_time
from dcfm_ros.ros.bag_time import BagTime
from dcfm_ros.stamps import stamp_ns

MS = 1_000_000


class World:
    """Real time, in seconds, what was told on /clock and when, and the event that ends the waiting at
    `ends_s`."""

    def __init__(self, monkeypatch):
        self.now_s, self.ends_s, self.told, self.warnings = 1000.0, math.inf, [], []
        monkeypatch.setattr(bag_time.time, "monotonic", lambda: self.now_s)

    def wait(self, seconds: float) -> bool:
        self.now_s = min(self.now_s + seconds, max(self.ends_s, self.now_s))
        return self.now_s >= self.ends_s

    def create_publisher(self, kind, topic, qos):
        assert topic == "/clock"
        return self

    def get_logger(self):
        return self

    def warning(self, text: str, **_) -> None:
        self.warnings.append(text)

    def publish(self, message) -> None:
        self.told.append((stamp_ns(message.clock), self.now_s))

    def times(self) -> list[int]:
        return [ns for ns, _ in self.told]


@pytest.fixture
def world(monkeypatch):
    return World(monkeypatch)


@pytest.mark.parametrize("speed", [0.5, 1.0, 4.0, 100.0])
@pytest.mark.parametrize("clock", [True, False])
def test_everything_is_due_at_its_time(world, speed, clock):
    start_ns, time = 1_700_000_000 * 10**9, BagTime(world, speed, clock)
    for at_ms in (0, 40, 40, 95, 2000):
        assert time.wait_until(start_ns + at_ms * MS, world)
        assert world.now_s - 1000.0 == pytest.approx(at_ms / 1000 / speed, abs=1e-6)
    assert bool(world.told) == clock
    for ns, at_s in world.told:
        assert at_s - 1000.0 == pytest.approx((ns - start_ns) / 1e9 / speed, abs=1e-6)
    if clock:
        steps = [after - before for before, after in zip(world.times(), world.times()[1:])]
        assert {start_ns + at_ms * MS for at_ms in (0, 40, 95, 2000)} <= set(world.times())
        assert min(steps) >= 0 and max(steps) <= 10 * MS * max(1.0, speed)


def test_who_is_late_hurries_without_being_early(world):
    time = BagTime(world, 1.0, False)
    time.wait_until(0, world)
    world.now_s += 0.1
    time.wait_until(50 * MS, world)
    assert world.now_s == pytest.approx(1000.1)
    time.wait_until(150 * MS, world)
    assert world.now_s == pytest.approx(1000.15)


def test_without_waiting_the_clock_goes_from_image_to_image(world):
    time = BagTime(world, math.inf, True)
    for at_ms in (0, 66, 5000):
        time.wait_until(at_ms * MS, world)
    assert world.told == [(0, 1000.0), (66 * MS, 1000.0), (5000 * MS, 1000.0)]
    time.end_round(66 * MS)
    time.wait_until(0, world)
    assert world.told[-1] == (0, 1000.0)


def test_what_was_recorded_out_of_order_does_not_turn_the_clock_back(world):
    time = BagTime(world, 1.0, True)
    for at_ms in (100, 105, 102, 108):
        time.wait_until(at_ms * MS, world)
    assert world.times() == [100 * MS, 105 * MS, 105 * MS, 108 * MS]


def test_a_round_begins_a_gap_after_the_one_before(world):
    time = BagTime(world, 2.0, True)
    for _ in range(3):
        for at_ms in (500, 506):
            time.wait_until(at_ms * MS, world)
        time.end_round(6 * MS)
    assert world.times() == [500 * MS, 506 * MS] * 3
    assert [at_s for _, at_s in world.told] == pytest.approx([1000.0 + 0.003 * number for number in range(6)])


@pytest.mark.parametrize("speed", [0.1, 1.0, 1000.0])
def test_a_clock_that_was_set_is_not_waited_for(world, speed):
    """Log time 0 at first, then today's: 54 years later. Behind it time goes on as ever."""
    today_ns, time = 1_700_000_000 * 10**9, BagTime(world, speed, True)
    for at_ns in (0, today_ns, today_ns + 50 * MS):
        assert time.wait_until(at_ns, world)
    assert world.now_s - 1000.0 == pytest.approx(0.05 / speed, abs=1e-6)
    assert world.told[:2] == [(0, 1000.0), (today_ns, 1000.0)] and world.times()[-1] == today_ns + 50 * MS
    assert world.warnings == [
        f"the recording has nothing to play for 472222.2 hours, from log time 0 to {today_ns} ns: not waited "
        f"for"
    ]


def test_a_pause_of_a_recording_is_kept(world):
    time = BagTime(world, 1.0, False)
    for at_s in (0, 60, 60 + 3600):
        assert time.wait_until(at_s * 1000 * MS, world) and world.now_s == pytest.approx(1000.0 + at_s)
    assert not world.warnings


def test_waiting_ends_with_the_process(world):
    time = BagTime(world, 1.0, True)
    world.ends_s = 1000.025
    assert time.wait_until(0, world) and not time.wait_until(10**12, world)
    assert world.times() == [0, 10 * MS, 20 * MS] and world.now_s == 1000.025
