# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Modes: which common features a frame's mask uses, and whether the deep path runs in parallel with the
masks."""

from __future__ import annotations

from collections.abc import Sequence

from dcfm_ros.pipeline.keyframe import Reference, Work
from dcfm_ros.pipeline.settings import Mode

# A frame whose mask can be made now, and the common features of one or two keyframes, older first (None: not
# available).
Decodable = tuple[Work, list[Reference | None]]


class AsyncMode:
    """Masks use the newest common feature available; the deep path runs in parallel."""

    inline = False  # True: the deep path of a keyframe runs within its frame
    masks_wait = False  # True: masks wait for the next keyframe

    @property
    def waiting(self) -> Sequence[int]:
        """Indices of the frames that wait."""
        return ()

    def add(
        self, work: Work, before: Reference | None, newest: Reference | None, max_interval: int
    ) -> list[Decodable]:
        """Add a frame and return those that can be decoded now. before, newest: the camera's reference before
        and after this frame."""
        return [(work, [newest])]

    def flush(self, newest: Reference | None) -> list[Decodable]:
        """Remove and return the frames that wait for the next keyframe, to be decoded without it."""
        return []


class SyncMode(AsyncMode):
    """The deep path of a keyframe runs within its frame, so a keyframe's mask uses its own feature."""

    inline = True


class PerFrameMode(SyncMode):
    """Mode of per-frame networks, which consist of a deep path only. If it fails there is no mask: the logits
    available belong to another frame."""

    def add(
        self, work: Work, before: Reference | None, newest: Reference | None, max_interval: int
    ) -> list[Decodable]:
        return [(work, [newest if newest is not before else None])]


class TwoSidedMode(SyncMode):
    """Frames between two keyframes wait for the second one, and their masks use both features."""

    masks_wait = True

    def __init__(self):
        self._waiting: list[Work] = []

    def add(
        self, work: Work, before: Reference | None, newest: Reference | None, max_interval: int
    ) -> list[Decodable]:
        if newest is not before:
            return [*self._release(before, newest), (work, [newest])]
        self._waiting.append(work)  # not a keyframe, or its deep path failed
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
    """Return the class of a mode. per_frame: for a per-frame network, which supports only its own mode."""
    if per_frame:
        return PerFrameMode
    return {Mode.ASYNC: AsyncMode, Mode.SYNC: SyncMode, Mode.TWO_SIDED: TwoSidedMode}[mode]
