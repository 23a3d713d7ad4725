# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rate limit: selects the images that get a mask if `max_rate` is set."""

from __future__ import annotations

from dcfm_ros.stamps import NS_PER_S

_EARLY = 0.1  # tolerated fraction of a period, for the jitter of a camera with exactly that rate


class RateLimit:
    """Limits the number of images per second, by their stamps. For one thread."""

    def __init__(self):
        self._due_ns: int | None = None  # stamp from which the next image is admitted

    def admits(self, stamp_ns: int, max_rate: float) -> bool:
        """Return whether an image is admitted. max_rate: Hz; 0: unlimited. Restarts when stamps jump back,
        for example in a looped recording."""
        if max_rate <= 0:
            return True
        period_ns = int(NS_PER_S / max_rate)
        if self._due_ns is None or stamp_ns < self._due_ns - 2 * period_ns:
            self._due_ns = stamp_ns
        if stamp_ns < self._due_ns - _EARLY * period_ns:
            return False
        # Counts from due time to due time, so that the average rate is correct if it does not divide the
        # camera's rate; after a gap it counts from the image.
        self._due_ns = (self._due_ns if stamp_ns < self._due_ns + period_ns else stamp_ns) + period_ns
        return True
