# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pool of arrays that are reused: page faults of fresh memory can take longer than filling it."""

from __future__ import annotations

from collections import deque

import numpy as np

_FREE = 4  # arrays kept at most; those in use are not counted


class Buffers:
    """Arrays of one shape and type. An array is in use as long as it or a view of it exists. It is taken by
    one thread, and may be dropped by any."""

    def __init__(self, shape: tuple[int, ...], dtype: type = np.float32):
        self._shape, self._dtype = shape, dtype
        self._free: deque[np.ndarray] = deque(maxlen=_FREE)

    def take(self) -> np.ndarray:
        """An array with arbitrary content."""
        try:
            memory = self._free.pop()
        except IndexError:
            memory = np.empty(self._shape, self._dtype)
        return np.asarray(_Lease(memory, self._free))


class _Lease:
    """The base of an array that was handed out, and of all views of it: its end returns the memory."""

    def __init__(self, memory: np.ndarray, free: deque[np.ndarray]):
        self._memory, self._free = memory, free
        self.__array_interface__ = memory.__array_interface__

    def __del__(self):
        self._free.append(self._memory)
