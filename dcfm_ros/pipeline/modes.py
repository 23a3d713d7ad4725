# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The modes: which common features the mask of a frame is made with, and whether the deep path runs beside
the masks."""

from __future__ import annotations

from collections.abc import Sequence

from dcfm_ros.pipeline.keyframe import Reference, Work
from dcfm_ros.pipeline.settings import Mode

# A frame whose mask can be made now, with the common features of one or two keyframes, the older first. None:
# there is none.
Decodable = tuple[Work, list[Reference | None]]


class AsyncMode:
    """A mask is made with the newest common feature there is; the deep path runs beside the masks."""

    inline = False  # is the deep path of a keyframe part of its frame?
    masks_wait = False  # do masks wait for the next keyframe?
    waiting: Sequence[int] = ()  # indices of the frames that do

    def add(
        self, work: Work, before: Reference | None, newest: Reference | None, max_interval: int
    ) -> list[Decodable]:
        """Frames that can be decoded now that this one has come. before, newest: the camera's reference
        before it and after."""
        return [(work, [newest])]

    def flush(self, newest: Reference | None) -> list[Decodable]:
        """The frames that still wait for a keyframe, without it. They are forgotten."""
        return []


class SyncMode(AsyncMode):
    """The same, but the deep path of a keyframe is part of its frame: the newest feature of a keyframe is its
    own."""

    inline = True


class PerFrameMode(SyncMode):
    """For networks that are all deep path. Where that failed there is no mask: the logits at hand are another
    frame's."""

    def add(
        self, work: Work, before: Reference | None, newest: Reference | None, max_interval: int
    ) -> list[Decodable]:
        return [(work, [newest if newest is not before else None])]


class TwoSidedMode(SyncMode):
    """Frames between two keyframes wait for the second, and their masks are made with both features."""

    masks_wait = True

    def __init__(self):
        self._waiting: list[Work] = []

    def add(
        self, work: Work, before: Reference | None, newest: Reference | None, max_interval: int
    ) -> list[Decodable]:
        if newest is not before:
            return [*self._release(before, newest), (work, [newest])]
        self._waiting.append(work)  # no keyframe, or its deep path failed
        overdue = len(self._waiting) > max_interval
        return self.flush(newest) if overdue or newest is None else []

    def flush(self, newest: Reference | None) -> list[Decodable]:
        return self._release(newest)

    @property
    def waiting(self) -> Sequence[int]:
        return [work.index for work in self._waiting]

    def _release(self, *references: Reference | None) -> list[Decodable]:
        waiting, self._waiting = self._waiting, []
        return [(work, list(references)) for work in waiting]


def mode_type(mode: Mode, per_frame: bool) -> type[AsyncMode]:
    """per_frame: for a per-frame network, which knows no other mode."""
    if per_frame:
        return PerFrameMode
    return {Mode.ASYNC: AsyncMode, Mode.SYNC: SyncMode, Mode.TWO_SIDED: TwoSidedMode}[mode]
