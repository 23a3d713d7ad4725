# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is said of images, of which hundreds may come in a second, is said now and then."""

from __future__ import annotations

import time
from collections.abc import Hashable


class Seldom:
    """Tells whether it is time again to say something.

    rclpy's `throttle_duration_sec` looks for the caller's source file in each call, said or not, which takes
    half a millisecond: as much as an image.
    """

    def __init__(self, period_s: float):
        self._period_s = period_s
        self._last_s: dict[Hashable, float] = {}

    def is_time(self, what: Hashable) -> bool:
        """Return whether `what` was not said within the period, and count it as said. For any thread: at
        worst two say it at once."""
        now_s = time.monotonic()
        if now_s - self._last_s.get(what, -self._period_s) < self._period_s:
            return False
        self._last_s[what] = now_s
        return True
