# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Deadline rule: adapts the threshold to the encoder's capacity, so that keyframes go to the highest
scores."""

from __future__ import annotations

import math

from dcfm_ros.stamps import NS_PER_S

LOWEST, HIGHEST = 0.5, 4.0  # of the configured threshold; below that, noise would be encoded
_GAIN = 0.4  # per second; with a share of 0.8 the threshold settles in some 3 s
_MOST = 1.0  # upper limit of the excess, so that many waiting cameras do not make the threshold jump


class DeadlineThreshold:
    """Controls a factor for the thresholds of all cameras. Not thread-safe.

    With n keyframes at the encoder, the running one and the queued ones, d log(factor) / dt is
    `_GAIN` * (n - share), within limits. So n equals the share on average: if nothing is queued, that is the
    encoder's utilisation.
    """

    def __init__(self, share: float):
        self.share = share
        self._log, self._pending = 0.0, 0
        self._at_ns: int | None = None

    def factor(self, now_ns: int) -> float:
        """Return the factor at now_ns (time.monotonic_ns())."""
        self.update(now_ns, self._pending)
        return math.exp(self._log)

    def update(self, now_ns: int, pending: int) -> None:
        """Set the number of keyframes that are queued or being encoded from now on."""
        if self._at_ns is not None:
            change = _GAIN * min(self._pending - self.share, _MOST) * (now_ns - self._at_ns) / NS_PER_S
            self._log = min(max(self._log + change, math.log(LOWEST)), math.log(HIGHEST))
        self._at_ns, self._pending = now_ns, pending
