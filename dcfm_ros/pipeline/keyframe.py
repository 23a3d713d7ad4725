# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Records of the pipeline: a frame in progress, a keyframe in the encoder, and the reference that it leaves
for later frames."""

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
STALLED_S = 10.0  # an encode that takes longer counts as stalled
JOIN_S = 5.0  # timeout for joining a thread whose deep path may not return


class Work(NamedTuple):
    """A frame between its shallow path and its mask."""

    frame: Frame
    index: int  # type: ignore[assignment]  # of the frame among the camera's; hides tuple.index
    time_ns: int  # of the camera's clock
    network_input: np.ndarray  # (h, w, 3) uint8 RGB
    shallow: Feature  # the backend's independent feature
    decision: Decision
    preprocess_ms: float
    motion_ms: float
    shallow_ms: float


class Reference(NamedTuple):
    """The newest keyframe whose deep path is done, with the common feature that masks use."""

    feature: Feature
    index: int  # type: ignore[assignment]
    stamp_ns: int
    time_ns: int  # of the camera's clock


class Superseded(Exception):
    """Outcome of a keyframe whose deep path was aborted between two slices."""


@dataclass(eq=False)
class Keyframe:
    """One keyframe, created by its stream; the encoder sets its start and end times and its outcome.

    outcome: pending while queued, running during the deep path, finally the common feature, the error of the
        deep path, Superseded, or cancelled (never started: displaced by a newer one, refused by the budget,
        or the encoder was stopped)
    superseded: set by whoever does not need the outcome any more; a running deep path then ends between two
        slices
    """

    work: Work
    is_first: bool = False  # the camera has no common feature yet, so no masks before this one is done
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
        """True if the encoder has started it."""
        return self.outcome.running() or (self.outcome.done() and not self.outcome.cancelled())


def join_timed_out(thread: threading.Thread) -> bool:
    """Join a thread that runs the deep path; returns True, and logs an error, if it does not end in time."""
    thread.join(JOIN_S)
    if thread.is_alive():
        _log.error(
            "thread %s did not end in time, probably because its deep path does not return: it is abandoned",
            thread.name,
        )
    return thread.is_alive()
