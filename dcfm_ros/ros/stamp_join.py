# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages of several topics that belong to one frame: those of the same stamp."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any


class StampJoin:
    """Gathers the parts of each frame, of which few may wait: what is never completed leaves in its turn.

    parts: names of all parts of a frame; waiting: frames that may wait for parts. From one thread.
    """

    def __init__(self, parts: tuple[str, ...], waiting: int):
        self._parts, self._waiting = parts, waiting
        self._frames: OrderedDict[int, dict[str, Any]] = OrderedDict()

    def add(self, stamp_ns: int, part: str, value: Any) -> Iterator[tuple[int, dict[str, Any]]]:
        """The frames that leave because of this part, as (stamp, parts): those that it completes or
        displaces."""
        frame = self._frames.setdefault(stamp_ns, {})
        frame[part] = value  # an equal stamp again: the newer one counts
        if len(frame) == len(self._parts):
            yield stamp_ns, self._frames.pop(stamp_ns)
        while len(self._frames) > self._waiting:
            yield self._frames.popitem(last=False)

    def rest(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """At the end: the frames that still wait."""
        while self._frames:
            yield self._frames.popitem(last=False)
