# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frames go first: the deep path runs in slices, and between slices it gives way to a frame that waits.

On few cores a deep network beside a shallow one slows both, and a frame that meets a whole deep pass waits for it. Cut
into slices, a frame meets one slice at most and then has all cores. Where there are cores to spare, or on a GPU with its
streams, both run at the same time instead.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import Iterator

from dcfm_ros.pipeline.backends.base import Sharing
from dcfm_ros.pipeline.settings import Mode, PipelineConfig, TurnTaking

_SPARE_CORES = 4         # from more cores than these on, the deep path has some of its own
_LONGEST_WAIT_S = 0.03   # for a slice: a frame runs beside one that takes longer


def cores_are_shared(turns: TurnTaking) -> bool:
    """Do frames and the deep path take turns on this machine's cores?"""
    return turns is TurnTaking.SLICED or (
        turns is TurnTaking.AUTO and len(os.sched_getaffinity(0)) <= _SPARE_CORES)


def sharing(config: PipelineConfig) -> Sharing:
    """Of the cores, by the deep path and frames. In `sync` and `two_sided` masks wait for it."""
    if config.mode is not Mode.ASYNC:
        return Sharing.NONE
    return Sharing.TURNS if cores_are_shared(config.turns) else Sharing.CORES


class Turns:
    """`frame` and `pause` are for the masks' thread, `encoding` and `give_way` for the encoder's.

    A frame that waits goes before the next slice, so it waits for one slice at most, and not for a long one's end. After a
    frame one slice is owed: it goes before the next frame, also where frames come without a gap. So neither starves.
    """

    def __init__(self, sliced: bool):
        self.sliced = sliced
        self._changed = threading.Condition()
        self._frame_waits = self._frame_works = False
        self._slice_waits = self._slice_works = self._slice_owed = False

    @contextmanager
    def frame(self) -> Iterator[None]:
        """A frame is in work."""
        self._begin_frame()
        try:
            yield
        finally:
            self._end_frame()

    @contextmanager
    def pause(self) -> Iterator[None]:
        """The frame in work waits for the deep path itself."""
        self._end_frame()
        try:
            yield
        finally:
            self._begin_frame()

    @contextmanager
    def encoding(self) -> Iterator[None]:
        """The deep path is at work, but for the moments in which it gives way."""
        self._begin_slice()
        try:
            yield
        finally:
            self._end_slice()

    def give_way(self) -> None:
        """Between two slices: a frame that waits goes first."""
        self._end_slice()
        self._begin_slice()

    def _begin_frame(self) -> None:
        if not self.sliced:
            return
        with self._changed:
            self._frame_waits = True
            self._changed.wait_for(
                lambda: not self._slice_works and not (self._slice_owed and self._slice_waits), _LONGEST_WAIT_S)
            self._frame_waits, self._frame_works = False, True

    def _end_frame(self) -> None:
        with self._changed:
            self._frame_works, self._slice_owed = False, True
            self._changed.notify_all()

    def _begin_slice(self) -> None:
        if not self.sliced:
            return
        with self._changed:
            self._slice_waits = True
            self._changed.wait_for(lambda: not self._frame_works and (self._slice_owed or not self._frame_waits))
            self._slice_waits, self._slice_works, self._slice_owed = False, True, False

    def _end_slice(self) -> None:
        with self._changed:
            self._slice_works = False
            self._changed.notify_all()
