# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A threshold that follows the encoder: as many keyframes as it has time for, spent where the scores are
highest."""

from __future__ import annotations

import math

LOWEST, HIGHEST = 0.5, 4.0  # of the configured threshold; below that, noise would be encoded
_GAIN = 0.4  # per second; with a share of 0.8 the threshold settles in some 3 s
_MOST = 1.0  # of an excess that counts: many cameras that wait do not make the threshold jump


class DeadlineThreshold:
    """A factor for the threshold of all cameras. Not for several threads at a time.

    With n keyframes at the encoder, the one that it computes and those that wait for it, d log(factor) / dt
    is `_GAIN` * (n - share), within limits. So on average n is the share: where nothing waits, that is the
    time at work.
    """

    def __init__(self, share: float):
        self.share = share
        self._log, self._pending, self._at_ns = 0.0, 0, None

    def factor(self, now_ns: int) -> float:
        """now_ns: time.monotonic_ns()"""
        self.update(now_ns, self._pending)
        return math.exp(self._log)

    def update(self, now_ns: int, pending: int) -> None:
        """From now on so many keyframes are at the encoder."""
        if self._at_ns is not None:
            change = _GAIN * min(self._pending - self.share, _MOST) * (now_ns - self._at_ns) / 1e9
            self._log = min(max(self._log + change, math.log(LOWEST)), math.log(HIGHEST))
        self._at_ns, self._pending = now_ns, pending
