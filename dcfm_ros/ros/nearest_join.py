# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages of one topic, each with the mask whose stamp is nearest."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple


class Pair(NamedTuple):
    """mask: None where none is near enough; apart_ns: to the nearest, None where there is none at all."""

    value: Any
    mask: Any
    apart_ns: int | None


class NearestJoin:
    """Masks are made of images and come later than what else has their stamp; whatever comes waits, but few
    of each.

    slop_ns: difference of stamps at most, 0 for equal ones only; waiting: masks and values that may wait.
    From one thread. Masks come in the order of their stamps, so a value's partner is known once a mask as new
    as the value is there. A stamp that jumps back begins anew.
    """

    def __init__(self, slop_ns: int, waiting: int):
        self._slop_ns, self._waiting = slop_ns, waiting
        self._masks: deque[list] = deque()  # [stamp, mask, is it used]
        self._values: deque[tuple[int, Any]] = deque()
        self._unused = 0

    def add_mask(self, stamp_ns: int, mask: Any) -> list[Pair]:
        """The values whose partner is known by now, in their order."""
        if self._masks and stamp_ns <= self._masks[-1][0]:  # of equal stamps the newer counts
            self._leave(1 if stamp_ns == self._masks[-1][0] else len(self._masks))
        self._masks.append([stamp_ns, mask, False])
        if len(self._masks) > self._waiting:
            self._forget(self._masks.popleft())
        return self._settled()

    def add_value(self, stamp_ns: int, value: Any) -> list[Pair]:
        """As `add_mask`; one that has waited for too long leaves with what there is."""
        self._values.append((stamp_ns, value))
        settled = self._settled()
        if len(self._values) > self._waiting:
            settled.append(self._pair(*self._values.popleft()))
        return settled

    def take_unused(self) -> int:
        """How many masks have left without a partner since this was asked last."""
        unused, self._unused = self._unused, 0
        return unused

    def _settled(self) -> list[Pair]:
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

    def _leave(self, count: int) -> None:
        for _ in range(count):
            self._forget(self._masks.pop())

    def _forget(self, mask: list) -> None:
        self._unused += not mask[2]
