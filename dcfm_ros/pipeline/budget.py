# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Keyframe budget: a token bucket, and the clock that fills it in replays."""

from __future__ import annotations

import math

from dcfm_ros.stamps import NS_PER_S

_SAVED_S = 1.0  # keyframes of this time can be saved up, and as many borrowed; at least one keyframe
_ROUNDING = 1e-9


class KeyframeBudget:
    """Token bucket that fills at `hz` keyframes per second; 0: unlimited. Not thread-safe.

    In any T seconds at most hz * T + 2 max(1, hz) keyframes are taken. Times are nanoseconds on any one
    clock.
    """

    def __init__(self, hz: float = 0.0):
        self._hz = hz
        self._at_ns: int | None = None
        self._level = self._capacity

    @property
    def _capacity(self) -> float:
        return max(1.0, self._hz * _SAVED_S)

    def set_rate(self, hz: float) -> None:
        self._hz = hz
        self._level = min(self._level, self._capacity)

    def allows(self, now_ns: int, borrowed: bool = False) -> bool:
        """Return whether a keyframe may be taken now. borrowed: it may overdraw the budget, at the expense of
        later ones"""
        return self.wait_s(now_ns, borrowed) == 0.0

    def wait_s(self, now_ns: int, borrowed: bool = False) -> float:
        """Return the seconds until a keyframe may be taken."""
        if self._hz == 0.0:
            return 0.0
        self._fill(now_ns)
        missing = (1.0 - self._capacity if borrowed else 1.0) - self._level
        return 0.0 if missing <= _ROUNDING else missing / self._hz

    def take(self, now_ns: int) -> None:
        """Charge a keyframe."""
        if self._hz:
            self._fill(now_ns)
            self._level -= 1.0

    def _fill(self, now_ns: int) -> None:
        if self._at_ns is not None:
            self._level = min(self._capacity, self._level + self._hz * (now_ns - self._at_ns) / NS_PER_S)
        self._at_ns = now_ns


class StampClock:
    """A common timeline from the stamps of cameras whose clocks need not agree, reproducible in replays of a
    bag.

    It follows the camera that has advanced furthest since it joined. Time that runs back does not count, and
    of a silence only the first `silence_s` count.
    """

    def __init__(self, silence_s: float = math.inf):
        self._silence_ns = silence_s * NS_PER_S
        self._cameras: dict[str, tuple[int, int]] = {}  # newest stamp, and the time at it
        self.now_ns = 0

    def advance(self, camera: str, stamp_ns: int) -> int:
        """Advance to a frame with this stamp; returns the time in ns."""
        before, time_ns = self._cameras.get(camera, (stamp_ns, self.now_ns))
        time_ns += round(min(max(0, stamp_ns - before), self._silence_ns))
        self._cameras[camera] = stamp_ns, time_ns
        self.now_ns = max(self.now_ns, time_ns)
        return self.now_ns
