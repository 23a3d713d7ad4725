# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frames go first: the deep path runs in slices, and between slices it yields to a frame that waits.

On few cores a deep network beside a shallow one slows both, and a frame that meets a whole deep pass waits
for it. Cut into slices, a frame meets one slice at most and then has all cores. Where there are cores to
spare, or on a GPU with its streams, both run at the same time instead.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from dcfm_ros.pipeline.backends.base import Sharing
from dcfm_ros.pipeline.modes import mode_type
from dcfm_ros.pipeline.settings import PipelineConfig, TurnTaking

_SPARE_CORES = 4  # from more cores than these on, the deep path has some of its own
_LONGEST_SLICE_S = 0.03  # frames run beside a slice that takes longer


def cores_are_shared(turns: TurnTaking) -> bool:
    """Do frames and the deep path take turns on this machine's cores?"""
    return turns is TurnTaking.SLICED or (
        turns is TurnTaking.AUTO and len(os.sched_getaffinity(0)) <= _SPARE_CORES
    )


def sharing(config: PipelineConfig, per_frame: bool = False) -> Sharing:
    """How the deep path and frames share a CPU's cores. In modes whose masks wait for the deep path nothing
    runs beside it."""
    if mode_type(config.mode, per_frame).inline:
        return Sharing.NONE
    return Sharing.TURNS if cores_are_shared(config.turns) else Sharing.CORES


class NoGate:
    """Frames and the deep path run at the same time. The methods are those of CpuGate."""

    def frame(self) -> AbstractContextManager:
        return nullcontext()

    released = encoding = frame

    def yield_to_frames(self) -> None:
        pass


class CpuGate:
    """`frame` and `released` are for the masks' thread, `encoding` and `yield_to_frames` for the encoder's.

    A frame that waits goes before the next slice, so it waits for one slice at most; one that takes longer
    than _LONGEST_SLICE_S, or hangs, holds frames up once. After a frame one slice is owed: it goes before the
    next frame, also where frames come without a gap. So neither starves. `frame_waits` and `slice_waits` tell
    who is at the gate.
    """

    def __init__(self):
        self._changed = threading.Condition()
        self.frame_waits = self._frame_works = False
        self.slice_waits = self._slice_works = self._slice_owed = self._slice_overran = False

    @contextmanager
    def frame(self) -> Iterator[None]:
        """A frame is in progress, from its shallow path to its mask."""
        self._begin_frame()
        try:
            yield
        finally:
            self._end_frame()

    @contextmanager
    def released(self) -> Iterator[None]:
        """The frame in progress waits for the deep path."""
        self._end_frame()
        try:
            yield
        finally:
            self._begin_frame()

    @contextmanager
    def encoding(self) -> Iterator[None]:
        """The deep path is at work, but for the moments in which it yields."""
        self._begin_slice()
        try:
            yield
        finally:
            self._end_slice()

    def yield_to_frames(self) -> None:
        """Between two slices: a frame that waits goes first."""
        self._end_slice()
        self._begin_slice()

    def _begin_frame(self) -> None:
        with self._changed:
            self.frame_waits = True
            if not self._changed.wait_for(self._frame_may_begin, _LONGEST_SLICE_S):
                self._slice_overran = self._slice_works
            self.frame_waits, self._frame_works = False, True

    def _frame_may_begin(self) -> bool:
        return self._slice_overran or (not self._slice_works and not (self._slice_owed and self.slice_waits))

    def _end_frame(self) -> None:
        with self._changed:
            self._frame_works, self._slice_owed = False, True
            self._changed.notify_all()

    def _begin_slice(self) -> None:
        with self._changed:
            self.slice_waits = True
            self._changed.wait_for(
                lambda: not self._frame_works and (self._slice_owed or not self.frame_waits)
            )
            self.slice_waits, self._slice_works, self._slice_owed = False, True, False

    def _end_slice(self) -> None:
        with self._changed:
            self._slice_works = self._slice_overran = False
            self._changed.notify_all()


def make_gate(config: PipelineConfig, device: str, inline: bool) -> CpuGate | NoGate:
    """device: of the backend; inline: as of the mode. A GPU's streams need no gate unless it is asked for."""
    sliced = cores_are_shared(config.turns) if device == "cpu" else config.turns is TurnTaking.SLICED
    return CpuGate() if sliced and not inline else NoGate()
