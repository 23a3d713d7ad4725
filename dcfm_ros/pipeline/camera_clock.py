# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The time of one camera's frames: what silences and the keyframe budget are measured by."""

from __future__ import annotations


class CameraClock:
    """Shows stamps, and where they stand still, how much later frames arrived: some drivers never fill the
    stamp in.

    Arrivals count from the frame at which the stamp has last moved, so that frames which are sent twice are
    no gain of time.
    """

    def __init__(self):
        self._stamp_ns = self._time_ns = self._moved_at_ns = self._moved_arrival_ns = 0
        self._has_begun = False
        self.stands_s = 0.0  # for which the stamp has stood still, by arrivals

    def time_ns(self, stamp_ns: int, arrival_ns: int) -> int:
        """A frame has come; arrival_ns is on any one clock. The time is less than that before where the stamp
        runs back."""
        if self._has_begun and stamp_ns == self._stamp_ns:
            stands_ns = max(0, arrival_ns - self._moved_arrival_ns)
            self.stands_s = stands_ns / 1e9
            self._time_ns = max(self._time_ns, self._moved_at_ns + stands_ns)
            return self._time_ns
        if not self._has_begun:
            self._time_ns, self._has_begun = stamp_ns, True
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
