# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How many keyframes there may be: a token bucket, and the time on which it fills."""

from __future__ import annotations

import math

_SAVED_S = 1.0  # of keyframes that may be saved up, and as many that may be borrowed; one keyframe at least
_ROUNDING = 1e-9


class KeyframeBudget:
    """Fills at `hz` keyframes per second; 0: no bound. Not for several threads at a time.

    In any span of T seconds at most hz * T + 2 max(1, hz) keyframes are taken. Times are nanoseconds of any
    one clock.
    """

    def __init__(self, hz: float = 0.0):
        self._hz, self._at_ns = hz, None
        self._level = self._capacity

    @property
    def _capacity(self) -> float:
        return max(1.0, self._hz * _SAVED_S)

    def set_rate(self, hz: float) -> None:
        self._hz = hz
        self._level = min(self._level, self._capacity)

    def allows(self, now_ns: int, borrowed: bool = False) -> bool:
        """May a keyframe be taken now? borrowed: one for which there may be debts, which later ones pay
        off."""
        return self.wait_s(now_ns, borrowed) == 0.0

    def wait_s(self, now_ns: int, borrowed: bool = False) -> float:
        """Seconds until a keyframe may be taken."""
        if self._hz == 0.0:
            return 0.0
        self._fill(now_ns)
        missing = (1.0 - self._capacity if borrowed else 1.0) - self._level
        return 0.0 if missing <= _ROUNDING else missing / self._hz

    def take(self, now_ns: int) -> None:
        """Count a keyframe."""
        if self._hz:
            self._fill(now_ns)
            self._level -= 1.0

    def _fill(self, now_ns: int) -> None:
        if self._at_ns is not None:
            self._level = min(self._capacity, self._level + self._hz * (now_ns - self._at_ns) / 1e9)
        self._at_ns = now_ns


class StampClock:
    """One course of time from the stamps of cameras whose clocks need not agree, so that a replayed bag has
    it again.

    It shows how far the camera has come that has come furthest since it joined. A camera's time that runs
    back does not count, and of a silence its first `silence_s`.
    """

    def __init__(self, silence_s: float = math.inf):
        self._silence_ns = silence_s * 1e9
        self._cameras: dict[str, tuple[int, int]] = {}  # newest stamp, and the time at it
        self.now_ns = 0

    def advance(self, camera: str, stamp_ns: int) -> int:
        """A frame with this stamp has come; returns the time, in ns."""
        before, time_ns = self._cameras.get(camera, (stamp_ns, self.now_ns))
        time_ns += round(min(max(0, stamp_ns - before), self._silence_ns))
        self._cameras[camera] = stamp_ns, time_ns
        self.now_ns = max(self.now_ns, time_ns)
        return self.now_ns
