# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""CPU gate: gives frames priority over the deep path, which runs in slices and yields to waiting frames.

On few cores, a deep network running in parallel with a shallow one slows down both, and a frame would have to
wait for a complete deep pass. Cut into slices, it waits for one slice at most and then has all cores. With
enough cores, or on a GPU with streams, both run at the same time instead.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from dcfm_ros.pipeline.backends.base import Sharing
from dcfm_ros.pipeline.modes import mode_type
from dcfm_ros.pipeline.settings import PipelineConfig, TurnTaking

_SPARE_CORES = 4  # with more cores than this, the deep path has cores of its own
_LONGEST_SLICE_S = 0.03  # a frame stops waiting for a slice that takes longer and runs in parallel with it


def cores_are_shared(turns: TurnTaking) -> bool:
    """Return whether frames and the deep path take turns on this machine's cores."""
    return turns is TurnTaking.SLICED or (
        turns is TurnTaking.AUTO and len(os.sched_getaffinity(0)) <= _SPARE_CORES
    )


def sharing(config: PipelineConfig, per_frame: bool = False) -> Sharing:
    """Return how the deep path and frames share the CPU's cores. In modes whose masks wait for the deep path
    nothing runs in parallel with it."""
    if mode_type(config.mode, per_frame).inline:
        return Sharing.NONE
    return Sharing.TURNS if cores_are_shared(config.turns) else Sharing.CORES


class NoGate:
    """Gate that is always open: frames and the deep path run at the same time. Same methods as CpuGate."""

    def frame(self) -> AbstractContextManager:
        return nullcontext()

    released = encoding = frame

    def yield_to_frames(self) -> None:
        pass


class CpuGate:
    """Lets either a frame or a slice of the deep path run. `frame` and `released` are for the mask thread,
    `encoding` and `yield_to_frames` for the encoder thread.

    A waiting frame runs before the next slice, so it waits for one slice at most; a slice that takes longer
    than _LONGEST_SLICE_S, or hangs, delays frames once. After each frame one slice runs before the next
    frame, even if frames arrive back to back, so neither side starves. `frame_waits` and `slice_waits` tell
    who waits at the gate.
    """

    def __init__(self):
        self._changed = threading.Condition()
        self.frame_waits = self._frame_works = False
        self.slice_waits = self._slice_works = self._slice_owed = self._slice_overran = False

    @contextmanager
    def frame(self) -> Iterator[None]:
        """Context of a frame in progress, from its shallow path to its mask."""
        self._begin_frame()
        try:
            yield
        finally:
            self._end_frame()

    @contextmanager
    def released(self) -> Iterator[None]:
        """Context in which the frame in progress waits for the deep path, with the gate released."""
        self._end_frame()
        try:
            yield
        finally:
            self._begin_frame()

    @contextmanager
    def encoding(self) -> Iterator[None]:
        """Context of a running deep path, which holds the gate except while it yields."""
        self._begin_slice()
        try:
            yield
        finally:
            self._end_slice()

    def yield_to_frames(self) -> None:
        """Let a waiting frame run first. Called between two slices."""
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
    """Create the gate. device: the backend's; inline: the mode's. A GPU has streams and needs no gate unless
    `turns` asks for it."""
    sliced = cores_are_shared(config.turns) if device == "cpu" else config.turns is TurnTaking.SLICED
    return CpuGate() if sliced and not inline else NoGate()
