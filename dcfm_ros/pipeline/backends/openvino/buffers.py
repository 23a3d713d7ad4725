# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Arrays that are used again once nobody holds them: faulting in fresh megabytes can take longer than filling
them."""

from __future__ import annotations

import sys

import numpy as np

_FREE = 4  # kept; arrays in use are not counted
_OURS = 3  # references to an array nobody else holds: the list's, the loop's, and getrefcount's own argument


class Buffers:
    """float32 arrays of one shape, for one thread. An array counts as in use while anything refers to it or
    to a view of it."""

    def __init__(self, shape: tuple[int, ...]):
        self._shape = shape
        self._arrays: list[np.ndarray] = []

    def take(self) -> np.ndarray:
        """An array with any content that nobody uses."""
        free = [array for array in self._arrays if sys.getrefcount(array) <= _OURS]
        for array in free[_FREE:]:
            self._arrays = [kept for kept in self._arrays if kept is not array]
        if free:
            return free[0]
        self._arrays.append(np.empty(self._shape, np.float32))
        return self._arrays[-1]
