# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sliding windows of durations and events, for diagnostics."""

from __future__ import annotations

import threading
from collections import deque

import numpy as np

from dcfm_ros.stamps import NS_PER_S


class DurationWindow:
    """The newest `size` durations in milliseconds. Any thread may add or read."""

    def __init__(self, size: int = 300):
        self._values: deque[float] = deque(maxlen=size)
        self._lock = threading.Lock()

    def add(self, milliseconds: float) -> None:
        with self._lock:
            self._values.append(milliseconds)

    def percentile(self, share: float) -> float:
        """`share` in percent; 0.0 while empty."""
        with self._lock:
            values = list(self._values)
        return float(np.percentile(values, share)) if values else 0.0


class RateWindow:
    """Events per second over the last `seconds`. Times are monotonic nanoseconds given by the caller."""

    def __init__(self, seconds: float = 5.0, size: int = 2000):
        self._seconds = seconds
        self._times: deque[int] = deque(maxlen=size)
        self._lock = threading.Lock()

    def add(self, now_ns: int) -> None:
        with self._lock:
            self._times.append(now_ns)

    def rate_hz(self, now_ns: int) -> float:
        with self._lock:
            recent = [t for t in self._times if now_ns - t <= self._seconds * NS_PER_S]
        if len(recent) < 2:
            return len(recent) / self._seconds
        return (len(recent) - 1) * NS_PER_S / max(1, now_ns - recent[0])
