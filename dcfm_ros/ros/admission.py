# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which images are worth a mask, where only so many a second are asked for."""

from __future__ import annotations

_EARLY = 0.1  # of a period: stamps of a camera of just that rate come a little early, too


class RateLimit:
    """At most so many images per second, by their stamps. From one thread."""

    def __init__(self):
        self._due_ns: int | None = None  # before which no image is let through

    def admits(self, stamp_ns: int, max_rate: float) -> bool:
        """max_rate: Hz; 0: no bound. Where stamps jump back, as those of a recording that starts again,
        counting starts anew."""
        if max_rate <= 0:
            return True
        period_ns = int(1e9 / max_rate)
        if self._due_ns is None or stamp_ns < self._due_ns - 2 * period_ns:
            self._due_ns = stamp_ns
        if stamp_ns < self._due_ns - _EARLY * period_ns:
            return False
        # From due to due, so that a rate which is no divisor of the camera's is kept on average; after a gap
        # from the image.
        self._due_ns = (self._due_ns if stamp_ns < self._due_ns + period_ns else stamp_ns) + period_ns
        return True
