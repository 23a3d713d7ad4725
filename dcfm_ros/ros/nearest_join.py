# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Joins the messages of a topic with the masks of the nearest stamps."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple


class Pair(NamedTuple):
    """A value and its mask. mask: None if none is near enough; apart_ns: distance to the nearest mask, None
    without masks"""

    value: Any
    mask: Any
    apart_ns: int | None


class NearestJoin:
    """Nearest-stamp join of values with masks, which arrive later than other messages of the same stamp.

    slop_ns: maximum difference of stamps, 0 for equal stamps only; waiting: maximum number of queued masks
        and of queued values
    For one thread. Masks arrive in the order of their stamps, so a value's partner is known once a mask at
    least as new as the value has arrived. A mask's stamp that jumps back starts again.
    """

    def __init__(self, slop_ns: int, waiting: int):
        self._slop_ns, self._waiting = slop_ns, waiting
        self._masks: deque[list] = deque()  # [stamp, mask, is_used]
        self._values: deque[tuple[int, Any]] = deque()
        self._unused = 0

    def add_mask(self, stamp_ns: int, mask: Any) -> list[Pair]:
        """Add a mask and return the values whose partner is now known, in order."""
        if self._masks and stamp_ns <= self._masks[-1][0]:  # an equal stamp replaces the older mask
            self._discard(1 if stamp_ns == self._masks[-1][0] else len(self._masks))
        self._masks.append([stamp_ns, mask, False])
        if len(self._masks) > self._waiting:
            self._count_unused(self._masks.popleft())
        return self._ready_pairs()

    def add_value(self, stamp_ns: int, value: Any) -> list[Pair]:
        """Add a value; same as `add_mask`. If the queue is full, the oldest value is returned with the best
        mask so far."""
        self._values.append((stamp_ns, value))
        pairs = self._ready_pairs()
        if len(self._values) > self._waiting:
            pairs.append(self._pair(*self._values.popleft()))
        return pairs

    def take_unused(self) -> int:
        """Return how many masks were discarded without a partner since the last call."""
        unused, self._unused = self._unused, 0
        return unused

    def _ready_pairs(self) -> list[Pair]:
        newest = self._masks[-1][0] if self._masks else None
        done = [newest is not None and stamp <= newest for stamp, _ in self._values]
        pairs = [self._pair(*value) for value, is_done in zip(self._values, done) if is_done]
        self._values = deque(value for value, is_done in zip(self._values, done) if not is_done)
        return pairs

    def _pair(self, stamp_ns: int, value: Any) -> Pair:
        nearest = min(self._masks, key=lambda mask: abs(mask[0] - stamp_ns), default=None)
        if nearest is None:
            return Pair(value, None, None)
        apart_ns = abs(nearest[0] - stamp_ns)
        if apart_ns > self._slop_ns:
            return Pair(value, None, apart_ns)
        nearest[2] = True
        return Pair(value, nearest[1], apart_ns)

    def _discard(self, count: int) -> None:
        for _ in range(count):
            self._count_unused(self._masks.pop())

    def _count_unused(self, mask: list) -> None:
        self._unused += not mask[2]
