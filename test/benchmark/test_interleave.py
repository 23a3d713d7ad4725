# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Interleaved timing, with a clock that only contenders move."""

import itertools
from contextlib import contextmanager

import numpy as np
import pytest

from dcfm_ros.benchmark.interleave import Burst, Contender, Times, fastest, interleave, ratio


class Clock:
    """Stands still but for `pass_s`. Times are whole milliseconds, so that sums are exact."""

    def __init__(self):
        self.ms = 0

    def __call__(self):
        return self.ms / 1000

    def pass_ms(self, ms):
        self.ms += ms


class Fake:
    """A contender whose frames take `ms`, the first of each burst `first_ms`. `log` notes what happens to
    all."""

    def __init__(self, name, clock, log, ms=10, first_ms=1000, laps=(), **how):
        self.name, self.clock, self.log, self.ms, self.first_ms, self.laps = (
            name,
            clock,
            log,
            ms,
            first_ms,
            laps,
        )
        self.opened, self.keyframes = 0, 0
        self.contender = Contender(name, self.open, itertools.count, count=lambda: self.keyframes, **how)

    @contextmanager
    def open(self):
        self.log.append(f"open {self.name}")
        fresh = [True]

        def run(frame, watch):
            self.log.append((self.name, frame))
            self.keyframes += 1
            for lap, ms in self.laps:
                self.clock.pass_ms(ms)
                watch.lap(lap)
            self.clock.pass_ms(self.first_ms if fresh[0] else self.ms)
            fresh[0] = False

        yield run
        self.clock.pass_ms(7777)  # closing counts nowhere
        self.log.append(f"close {self.name}")


def run(*fakes, seconds=0.0, **how):
    return interleave([fake.contender for fake in fakes], seconds, clock=fakes[0].clock, **how)


def test_everyone_has_one_burst_in_each_round_and_rounds_begin_with_another():
    clock, log = Clock(), []
    run(*(Fake(name, clock, log) for name in "abc"), least_rounds=4, burst_s=0.0)
    opened = "".join(entry[-1] for entry in log if isinstance(entry, str) and entry.startswith("open"))
    # once for all to compile and load, then the rounds
    assert opened == "abc" + "abc" + "bca" + "cab" + "abc"
    assert [log[at + 1] for at in range(0, len(log), 5)][:3] == [("a", 0), ("b", 0), ("c", 0)]


def test_frames_that_settle_are_not_counted_and_everything_else_is():
    clock = Clock()
    fake = Fake("a", clock, [], ms=10, first_ms=1000, settle=1, least=5)
    times = run(fake, least_rounds=3, burst_s=0.0)["a"]
    assert times.samples.tolist() == pytest.approx([10] * 15)
    assert times.wall_s == pytest.approx(0.15) and times.frames_per_second == pytest.approx(100)
    slow = run(Fake("a", clock, [], settle=0, least=5), least_rounds=3, burst_s=0.0)["a"]
    assert slow.samples.max() == pytest.approx(1000) and len(slow.samples) == 15  # an outlier stays
    assert slow.percentile(50) == pytest.approx(10) and slow.percentile(99) > 900


def test_bursts_last_long_enough_and_have_whole_periods():
    clock = Clock()
    short, long = Fake("short", clock, [], ms=10), Fake("long", clock, [], ms=400)
    periodic = Fake("periodic", clock, [], ms=10, multiple=6, settle=6)
    times = run(short, long, periodic, least_rounds=1, burst_s=0.1)
    assert [len(times[name].samples) for name in ("short", "long", "periodic")] == [10, 2, 12]


def test_rounds_are_whole_and_go_on_until_the_time_is_over():
    clock, told = Clock(), []
    fakes = [Fake(name, clock, [], ms=500) for name in "ab"]
    times = run(*fakes, seconds=50.0, least_rounds=2, burst_s=0.0, on_round=told.append)
    rounds = len(times["a"].bursts)
    assert rounds == len(times["b"].bursts) == len(told) == 3  # each takes 2 x (1 + 2 x 0.5 + 7.777) s
    assert told[-2] < 50.0 <= told[-1]


def test_each_contender_walks_on_through_its_own_frames():
    log = []
    fakes = [Fake(name, Clock(), log, settle=1, least=2) for name in "ab"]
    run(*fakes, least_rounds=2, burst_s=0.0)
    for name in "ab":
        assert [entry[1] for entry in log if entry[0] == name and not isinstance(entry, str)] == list(
            range(9)
        )


def test_waiting_for_a_frame_is_not_the_frames_time():
    clock = Clock()

    def paced():
        while True:
            clock.pass_ms(60)
            yield None

    fake = Fake("a", clock, [], ms=10, least=4)
    contender = Contender("a", fake.open, paced, least=4)
    times = interleave([contender], 0.0, least_rounds=1, burst_s=0.0, clock=clock)["a"]
    assert times.samples.tolist() == pytest.approx([10] * 4) and times.wall_s == pytest.approx(0.28)


def test_steps_add_up_and_keyframes_are_those_of_counted_frames():
    clock = Clock()
    fake = Fake("a", clock, [], ms=3, laps=(("one", 5), ("two", 2)), least=4)
    times = run(fake, least_rounds=2, burst_s=0.0)["a"]
    assert {name: values.tolist() for name, values in times.steps().items()} == {
        "one": pytest.approx([5] * 8),
        "two": pytest.approx([2] * 8),
    }
    assert times.samples.tolist() == pytest.approx([10] * 8) and times.keyframes == 8


def test_what_runs_is_closed_when_it_fails():
    log = []

    @contextmanager
    def opened():
        try:
            yield lambda frame, watch: 1 / 0
        finally:
            log.append("closed")

    with pytest.raises(ZeroDivisionError):
        interleave([Contender("a", opened, itertools.count)], 0.0)
    assert log == ["closed"]


def times_of(*bursts):
    return Times([Burst(tuple(burst), {}, sum(burst), 0) for burst in bursts])


def test_percentiles_are_of_all_samples_together():
    times = times_of(range(1, 51), range(51, 101))
    assert times.percentile(50) == pytest.approx(50_500) and times.percentile(99) == pytest.approx(
        1000 * np.percentile(np.arange(1, 101), 99)
    )


def test_a_ratio_is_that_of_the_rounds():
    """A phase that slows everything threefold changes no ratio; one round in which only one is slow does not
    count much."""
    slow = times_of((0.2, 0.2, 0.9), (0.6, 0.6), (0.2, 0.2), (1.0, 1.0), (0.2, 0.2))
    fast = times_of((0.1, 0.1, 0.1), (0.3, 0.3), (0.1, 0.1), (0.1, 0.1), (0.1, 0.1))
    found = ratio(slow, fast)
    assert (found.low, found.median, found.high) == pytest.approx((2.0, 2.0, 2.0))
    of_means = ratio(slow, fast, np.mean)
    assert of_means.median == pytest.approx(2.0) and of_means.high == pytest.approx(1.3 / 0.3)
    with pytest.raises(ValueError):
        ratio(slow, times_of((1.0,)))


def test_the_fastest_is_so_round_by_round():
    first, second = times_of((0.1, 0.1, 5.0), (0.9, 0.9)), times_of((0.2, 0.2), (0.3, 0.3))
    assert [burst.seconds for burst in fastest([first, second]).bursts] == [(0.1, 0.1, 5.0), (0.3, 0.3)]
    assert ratio(fastest([first, second]), times_of((0.1,), (0.1,))).median == pytest.approx(2.0)


def test_names_are_unique():
    fakes = [Fake("a", Clock(), []) for _ in range(2)]
    with pytest.raises(ValueError, match=r"names of contenders repeat: \['a', 'a'\]; make them unique"):
        run(*fakes)
