# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which frames of a clip are keyframes, and which keyframes serve a frame: the offline protocol, without any
network.

`two_sided` is the paper's evaluation: a frame between two keyframes uses both. `causal` uses the one before;
that is what the live pipeline does in `sync` mode. In `async` a keyframe requested on frame k is there from
frame k + delay on, as in the live pipeline's `async` mode.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from dcfm_ros.pipeline.settings import Alignment

TWO_SIDED, CAUSAL, ASYNC, PER_FRAME = "two_sided", "causal", "async", "per_frame"
MODES = (TWO_SIDED, CAUSAL, ASYNC)

# What a mask takes from its keyframes: their common features moved along with the scene, the same as they are
# (published), or their logits moved along, with no network on the frame: a rival that is nearly free.
FLOW, NONE, LOGITS = Alignment.FLOW.value, Alignment.NONE.value, "logits"
ALIGNMENTS = {FLOW: "aligned", NONE: "as published", LOGITS: "moved logits"}


@dataclass(frozen=True)
class Schedule:
    """A mode with either a fixed interval or an AKS threshold: one row of the results.

    Mode `per_frame` is a network that makes every frame's mask from that frame alone, so its interval is 1.
    """

    mode: str
    interval: int | None = None  # K, frames from keyframe to keyframe
    threshold: float | None = None  # AKS score that makes a keyframe
    delay: int = 0  # frames until a requested keyframe serves; async only
    alignment: str = NONE  # of ALIGNMENTS

    def __post_init__(self):
        if self.mode not in (*MODES, PER_FRAME):
            raise ValueError(f"unknown mode {self.mode!r}: use one of {', '.join(MODES)}")
        if self.alignment not in ALIGNMENTS:
            raise ValueError(f"unknown alignment {self.alignment!r}: use one of {', '.join(ALIGNMENTS)}")
        if (self.interval is None) == (self.threshold is None):
            raise ValueError(f"interval {self.interval} and threshold {self.threshold}: give one of them")
        if self.interval is not None and not 1 <= self.interval <= 1000:
            raise ValueError(f"interval {self.interval}: use 1 to 1000 frames")
        if self.mode == PER_FRAME and self.interval != 1:
            raise ValueError(f"interval {self.interval}: a per-frame network computes every frame, use 1")
        if not 0 <= self.delay <= 1000:
            raise ValueError(f"delay {self.delay}: use 0 to 1000 frames")
        if self.delay and self.mode != ASYNC:
            raise ValueError(f"delay {self.delay} in mode {self.mode}: only {ASYNC} has a delay")

    @property
    def mode_name(self) -> str:
        """The mode as people read it."""
        return f"async, delay {self.delay}" if self.mode == ASYNC else self.mode.replace("_", "-")

    @property
    def alignment_name(self) -> str:
        """As people read it; of a per-frame network there is nothing to align."""
        return "-" if self.mode == PER_FRAME else ALIGNMENTS[self.alignment]

    @property
    def moves(self) -> bool:
        """Does motion matter to its masks, or to its keyframes?"""
        return self.alignment != NONE

    @property
    def keyframe_rule(self) -> str:
        return f"K = {self.interval}" if self.threshold is None else f"AKS {self.threshold:g}"


def phases(interval: int, number: int, clips: int) -> range:
    """Phases in which clip `number` of `clips` is evaluated with a fixed interval: a single clip in all of
    them.

    So that frames are seen in both roles, clip number j has its keyframes at frames = j (mod K).
    """
    return range(interval) if clips == 1 else range(number % interval, number % interval + 1)


def fixed_keyframes(length: int, mode: str, interval: int, phase: int) -> list[int]:
    """Keyframes of a clip of `length` frames, ascending: frames = phase (mod interval).

    Where only earlier keyframes count, frame 0 is one as well, as nothing could serve it otherwise; so is it
    in a clip that is too short to have a frame of this phase.
    """
    frames = list(range(phase, length, interval))
    if not frames or (mode != TWO_SIDED and frames[0]):
        frames.insert(0, 0)
    return frames


def serving(schedule: Schedule, keyframes: Sequence[int], frame: int) -> tuple[int, ...]:
    """The keyframes whose common features make the mask of `frame`: one, or in two-sided mode the one before
    and the one after (one alone, where the other is missing).

    keyframes: of the clip, ascending; except in two-sided mode they begin with frame 0
    """
    if schedule.mode == TWO_SIDED:
        position = bisect_right(keyframes, frame)
        if position and keyframes[position - 1] == frame:
            return (frame,)
        return tuple(keyframes[max(position - 1, 0) : position + 1])
    position = bisect_right(keyframes, frame - schedule.delay)
    return (keyframes[max(position - 1, 0)],)  # the clip's first keyframe is there at once
