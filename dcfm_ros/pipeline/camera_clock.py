# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Camera clock: the time of one camera's frames, by which silences and the keyframe budget are measured."""

from __future__ import annotations

from dcfm_ros.stamps import NS_PER_S


class CameraClock:
    """Follows the stamps and, while they stand still, the arrival times: some drivers never fill in the
    stamp.

    Arrival times count from the frame at which the stamp last changed, so that frames that are sent twice do
    not advance the clock.
    """

    def __init__(self):
        self._stamp_ns = self._time_ns = self._moved_at_ns = self._moved_arrival_ns = 0
        self._has_started = False
        self.stands_s = 0.0  # time since the stamp last changed, by arrivals

    def time_ns(self, stamp_ns: int, arrival_ns: int) -> int:
        """Return the time of a frame. arrival_ns: on any one clock. The time runs back where the stamp
        does."""
        if self._has_started and stamp_ns == self._stamp_ns:
            stands_ns = max(0, arrival_ns - self._moved_arrival_ns)
            self.stands_s = stands_ns / NS_PER_S
            self._time_ns = max(self._time_ns, self._moved_at_ns + stands_ns)
            return self._time_ns
        if not self._has_started:
            self._time_ns, self._has_started = stamp_ns, True
        elif stamp_ns > self._stamp_ns:
            self._time_ns = max(self._time_ns, self._moved_at_ns + stamp_ns - self._stamp_ns)
        else:
            self._time_ns += stamp_ns - self._stamp_ns
        self._stamp_ns, self._moved_at_ns, self._moved_arrival_ns, self.stands_s = (
            stamp_ns,
            self._time_ns,
            arrival_ns,
            0.0,
        )
        return self._time_ns
