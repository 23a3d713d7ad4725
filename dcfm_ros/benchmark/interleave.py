# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Times of several ways to do the same, taken in turn, so that a busy phase of the machine meets all of them
alike.

Round after round each contender has a burst: a few frames to settle, which are not counted, then frames one
after the other. Every counted frame stays in the samples. Contenders are compared round by round; the ratio
of two is the median over rounds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import numpy as np
import torch

from dcfm_ros.pipeline.frames import Frame

LEAST_ROUNDS = 3
BURST_S = 0.3


class Laps:
    """The steps of one run: `lap(name)` ends a step. Who works on a GPU waits for it before the call."""

    def __init__(self, clock: Callable[[], float]):
        self._clock = clock
        self.seconds: dict[str, float] = {}
        self.started = self._last = clock()

    def lap(self, name: str) -> None:
        now = self._clock()
        self.seconds[name] = now - self._last
        self._last = now


Run = Callable[[Frame, Laps], None]  # from an image to its mask, in host memory when it returns


@dataclass(frozen=True)
class Contender:
    """`open` gives what is run for the frames of one burst, and closes it after them."""

    name: str
    open: Callable[[], AbstractContextManager[Run]]
    frames: Callable[[], Iterator[Frame]]  # endless; what it waits for is not counted
    settle: int = 1  # frames before the first counted one
    least: int = 2  # counted frames of a burst
    multiple: int = 1  # their number is a multiple of this
    count: Callable[[], int] = lambda: 0  # keyframes so far


@dataclass(frozen=True)
class Burst:
    """Counted frames of one contender in one round."""

    seconds: tuple[float, ...]  # of each frame
    laps: dict[str, tuple[float, ...]]
    wall_s: float  # from the first frame's beginning to the last one's end
    keyframes: int


@dataclass
class Times:
    """All bursts of a contender, one for each round."""

    bursts: list[Burst] = field(default_factory=list)

    @property
    def samples(self) -> np.ndarray:
        """Milliseconds of all frames, in order."""
        return 1e3 * np.concatenate([burst.seconds for burst in self.bursts])

    @property
    def frames_per_second(self) -> float:
        return len(self.samples) / self.wall_s

    @property
    def wall_s(self) -> float:
        return sum(burst.wall_s for burst in self.bursts)

    @property
    def keyframes(self) -> int:
        return sum(burst.keyframes for burst in self.bursts)

    def percentile(self, share: float) -> float:
        """Of the milliseconds of a frame; `share` in per cent."""
        return float(np.percentile(self.samples, share))

    def steps(self) -> dict[str, np.ndarray]:
        """Milliseconds of each step, frame by frame."""
        return {
            name: 1e3 * np.concatenate([burst.laps[name] for burst in self.bursts])
            for name in self.bursts[0].laps
        }


@dataclass(frozen=True)
class Ratio:
    """How many times longer one takes than the other: median over rounds, and the rounds' quartiles."""

    median: float
    low: float
    high: float


def ratio(slow: Times, fast: Times, of: Callable[[Sequence[float]], float] = np.median) -> Ratio:
    """`of` makes one figure of the times of a burst."""
    low, median, high = np.percentile(
        [of(s.seconds) / of(f.seconds) for s, f in zip(slow.bursts, fast.bursts, strict=True)], (25, 50, 75)
    )
    return Ratio(float(median), float(low), float(high))


def fastest(candidates: Sequence[Times]) -> Times:
    """Of each round the burst with the smallest median."""
    return Times(
        [
            min(bursts, key=lambda burst: np.median(burst.seconds))
            for bursts in zip(*(times.bursts for times in candidates), strict=True)
        ]
    )


def interleave(
    contenders: Sequence[Contender],
    seconds: float,
    least_rounds: int = LEAST_ROUNDS,
    burst_s: float = BURST_S,
    clock: Callable[[], float] = time.perf_counter,
    on_round: Callable[[float], None] = lambda elapsed: None,
) -> dict[str, Times]:
    """Run whole rounds until `seconds` are over, at least `least_rounds`. Each round begins with another
    contender.

    Before the first round everyone runs once without being counted: what has to be compiled or loaded is so
    then. `on_round` is told the seconds since the first round began.
    """
    frames = {contender.name: contender.frames() for contender in contenders}
    if len(frames) != len(contenders):
        raise ValueError(
            f"names of contenders repeat: {[contender.name for contender in contenders]}; make them unique"
        )
    times = {name: Times() for name in frames}
    for contender in contenders:
        _burst(contender, frames[contender.name], 0.0, clock)
    started, number = clock(), 0
    while contenders and (number < least_rounds or clock() - started < seconds):
        first = number % len(contenders)
        for contender in (*contenders[first:], *contenders[:first]):
            times[contender.name].bursts.append(_burst(contender, frames[contender.name], burst_s, clock))
        number += 1
        on_round(clock() - started)
    return times


def _burst(
    contender: Contender, frames: Iterator[Frame], burst_s: float, clock: Callable[[], float]
) -> Burst:
    seconds: list[float] = []
    laps: list[dict[str, float]] = []
    with contender.open() as run:
        for _ in range(contender.settle):
            run(next(frames), Laps(clock))
        keyframes, started = contender.count(), clock()
        while (
            len(seconds) < contender.least or len(seconds) % contender.multiple or clock() - started < burst_s
        ):
            frame = next(frames)
            watch = Laps(clock)
            run(frame, watch)
            seconds.append(clock() - watch.started)
            laps.append(watch.seconds)
        return Burst(
            tuple(seconds),
            {name: tuple(lap[name] for lap in laps) for name in laps[0]},
            clock() - started,
            contender.count() - keyframes,
        )


def synchronize(device: str) -> None:
    """Wait until a GPU has done all that was asked of it; on a CPU there is nothing to wait for."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
