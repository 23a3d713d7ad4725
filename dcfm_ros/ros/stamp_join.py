# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Joins messages of several topics by equal stamps."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any


class StampJoin:
    """Collects the parts of each frame; frames that stay incomplete are released in order once too many wait.

    parts: names of all parts of a frame; waiting: maximum number of incomplete frames. For one thread.
    """

    def __init__(self, parts: tuple[str, ...], waiting: int):
        self._parts, self._waiting = parts, waiting
        self._frames: OrderedDict[int, dict[str, Any]] = OrderedDict()

    def add(self, stamp_ns: int, part: str, value: Any) -> Iterator[tuple[int, dict[str, Any]]]:
        """Add a part and yield the frames that it completes or displaces, as (stamp, parts)."""
        frame = self._frames.setdefault(stamp_ns, {})
        frame[part] = value  # a repeated stamp replaces the older one
        if len(frame) == len(self._parts):
            yield stamp_ns, self._frames.pop(stamp_ns)
        while len(self._frames) > self._waiting:
            yield self._frames.popitem(last=False)

    def rest(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield the frames that are still incomplete, at the end."""
        while self._frames:
            yield self._frames.popitem(last=False)
