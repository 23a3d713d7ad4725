# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A frame on its way to its mask, a keyframe on its way through the encoder, and what that leaves for the
frames after it."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from dcfm_ros.pipeline.backends.base import Feature
from dcfm_ros.pipeline.frames import Frame
from dcfm_ros.pipeline.scheduler import Decision

_log = logging.getLogger(__name__)
STALLED_S = 10.0  # an encode that takes longer does not return, for all that anybody can tell
JOIN_S = 5.0  # for which the end waits for a thread whose deep path may not return


class Work(NamedTuple):
    """A frame after its shallow path, before its mask."""

    frame: Frame
    index: int  # of the frame among the camera's processed frames
    time_ns: int  # of the camera's clock
    network_input: np.ndarray  # (h, w, 3) uint8 RGB
    shallow: Feature  # the backend's independent feature
    decision: Decision
    preprocess_ms: float
    motion_ms: float
    shallow_ms: float


class Reference(NamedTuple):
    """The newest keyframe whose deep path is done: masks are made with its common feature."""

    feature: Feature
    index: int
    stamp_ns: int
    time_ns: int  # of the camera's clock


class Superseded(Exception):
    """The outcome of a keyframe whose deep path was ended between two slices."""


@dataclass(eq=False)
class Keyframe:
    """One keyframe's life. Its stream makes it, the encoder sets when it started and ended, and its outcome.

    outcome: pending while it waits for the encoder, running in the deep path, and at last the common feature,
        the deep path's error, Superseded, or cancelled (it was never started: a newer one took its place,
        there was no budget, or the end came)
    superseded: set by anybody who has no use for the outcome any more; a running deep path then ends between
        two slices
    """

    work: Work
    is_first: bool = False  # the camera has no common feature, so no masks without this one
    outcome: Future = field(default_factory=Future)
    superseded: threading.Event = field(default_factory=threading.Event)
    requested_ns: int = field(default_factory=time.monotonic_ns)
    started_ns: int = 0
    ended_ns: int = 0

    @property
    def camera(self) -> str:
        return self.work.frame.camera

    @property
    def urgency(self) -> float:
        return self.work.decision.urgency

    @property
    def is_cut(self) -> bool:
        return self.work.decision.is_cut

    @property
    def has_started(self) -> bool:
        """Has the encoder taken it up?"""
        return self.outcome.running() or (self.outcome.done() and not self.outcome.cancelled())


def left_behind(thread: threading.Thread) -> bool:
    """Join a thread that runs the deep path; True if it does not end, which is logged."""
    thread.join(JOIN_S)
    if thread.is_alive():
        _log.error(
            "thread %s does not end, probably for want of a deep path that returns: it is left behind",
            thread.name,
        )
    return thread.is_alive()
