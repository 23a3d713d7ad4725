# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The keyframe encoder: a thread of its own that runs the deep path, so that no mask waits for it."""

from __future__ import annotations

import logging
import math
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Callable

import numpy as np

from dcfm_ros.pipeline.backends.base import Backend
from dcfm_ros.pipeline.budget import KeyframeBudget
from dcfm_ros.pipeline.deadline import DeadlineThreshold
from dcfm_ros.pipeline.frames import Frame, Reason
from dcfm_ros.pipeline.keyframe_queue import KeyframeQueue
from dcfm_ros.pipeline.settings import SchedulerConfig, ThresholdRule
from dcfm_ros.pipeline.turns import Turns

_log = logging.getLogger(__name__)
_REMEMBERED_S = 1.0


@dataclass
class KeyframeRequest:
    """A keyframe on its way through the encoder. `wait` returns when it is finished, whatever the outcome."""

    frame: Frame
    epoch: int                # of the camera: results of an older epoch are stale
    index: int
    image: np.ndarray         # network input, for the scheduler's bookkeeping
    shallow: Any              # the backend's independent feature: the deep path goes on from it
    reason: Reason
    score: float
    urgency: float            # score over threshold; requests that cannot wait are infinite
    is_first: bool = False    # the camera has no common feature, so no masks without this one
    is_cut: bool = False      # the frame is the first of another shot
    requested_ns: int = field(default_factory=time.monotonic_ns)
    on_finished: Callable[[], None] = lambda: None
    finished: threading.Event = field(default_factory=threading.Event)

    def wait(self) -> None:
        self.finished.wait()

    def finish(self) -> None:
        self.finished.set()
        self.on_finished()

    def outdates(self, other: KeyframeRequest) -> bool:
        """Is the result of the other of no use any more? That of a cut is, so that cuts in a row do not end each other."""
        return self.frame.camera == other.frame.camera and (
            self.epoch != other.epoch or (self.is_cut and not other.is_cut))


@dataclass(frozen=True)
class Encoded:
    request: KeyframeRequest
    feature: Any              # common contribution
    queue_ms: float
    encode_ms: float


class _Abandoned(Exception):
    """Ends an encode between two of its slices."""


class KeyframeEncoder:
    """Runs `backend.deep` on its own thread. At most one request per camera waits: a newer one displaces it.

    Any thread may call its methods. `on_encoded` and `on_failed` are called on the encoder's thread, before the request
    counts as finished; `on_begun` is called, on either thread, when a request is taken up, and may call nothing of this.
    Frames and the slices of the deep path take `turns`. Which request is next: see `KeyframeQueue`. A running encode that
    a new request of its camera makes useless, as after a hard cut, ends with its slice.

    Requests wait for their turn. With a `clock` that shows the frames' time, in ns, and on which the budget then runs, they
    do not: each is taken up or finished at once. A camera whose request was refused is remembered for `_REMEMBERED_S`, so
    that the others leave the next keyframe to it if it is its turn.
    """

    def __init__(
        self,
        backend: Backend,
        on_encoded: Callable[[Encoded], None],
        on_failed: Callable[[KeyframeRequest, Exception], None],
        turns: Turns | None = None,
        on_begun: Callable[[KeyframeRequest], None] = lambda request: None,
        config: SchedulerConfig = SchedulerConfig(),
        clock: Callable[[], int] | None = None,
    ):
        self._backend, self._on_encoded, self._on_failed, self._on_begun = backend, on_encoded, on_failed, on_begun
        self._turns = turns or Turns(sliced=False)
        self._at_once, self._clock = clock is not None, clock or time.monotonic_ns
        self._queue = KeyframeQueue(KeyframeBudget(config.keyframe_budget_hz), _REMEMBERED_S if self._at_once else math.inf)
        self._threshold = DeadlineThreshold(config.encoder_share)
        self._follows = config.threshold_rule is ThresholdRule.DEADLINE
        self._running: KeyframeRequest | None = None
        self._abandoned = False   # is the running one of no use any more?
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="dcfm-keyframe-encoder", daemon=True)
        self._thread.start()

    def reconfigure(self, config: SchedulerConfig) -> None:
        """Another budget, another rule for the threshold."""
        with self._changed:
            self._queue.budget.set_rate(config.keyframe_budget_hz)
            self._threshold.share = config.encoder_share
            self._follows = config.threshold_rule is ThresholdRule.DEADLINE
            self._changed.notify()

    def relief(self) -> float:
        """What thresholds are to be multiplied by, so that the encoder has time for the keyframes."""
        with self._changed:
            return self._threshold.factor(time.monotonic_ns()) if self._follows else 1.0

    def submit(self, request: KeyframeRequest) -> bool:
        """False: for want of budget it has to wait, or is refused."""
        with self._changed:
            now_ns = self._clock()
            allowed = self._queue.allows(request, now_ns)
            ended = []
            if self._stopping:
                ended.append(request)
            else:
                if (displaced := self._queue.put(request, now_ns)) is not None:
                    ended.append(displaced)
                if self._running is not None and allowed and request.outdates(self._running):
                    self._abandoned = True
                if self._running is None and not self._at_once:
                    self._begin(self._queue.take(now_ns))
                elif self._running is None and self._queue.take_if_next(request, now_ns):
                    self._begin(request)
                if self._at_once and self._running is not request:
                    allowed = False
                    ended.append(request)
            self._count()
            self._changed.notify()
        for request in ended:
            request.finish()
        return allowed

    def stop(self) -> None:
        """Drop what waits, end the running encode after its slice, join the thread."""
        with self._changed:
            self._stopping = True
            left = self._queue.clear()
            self._changed.notify()
        for request in left:
            request.finish()
        self._thread.join()
        if self._running is not None:  # taken up, and the thread did not come to it
            self._running.finish()

    def _run(self) -> None:
        while (request := self._next()) is not None:
            started = time.monotonic_ns()
            try:
                with self._turns.encoding():
                    feature = self._backend.deep(request.shallow, self._between_slices)
                ended = time.monotonic_ns()
                self._on_encoded(Encoded(
                    request, feature, (started - request.requested_ns) / 1e6, (ended - started) / 1e6))
            except _Abandoned:
                pass
            except Exception as error:  # whatever a backend raises: masks go on, the next keyframe tries again
                self._report(request, error)
            finally:
                with self._changed:
                    self._running, self._abandoned = None, False
                    self._count()
                request.finish()

    def _between_slices(self) -> None:
        if self._stopping or self._abandoned:
            raise _Abandoned
        self._turns.give_way()

    def _report(self, request: KeyframeRequest, error: Exception) -> None:
        try:
            self._on_failed(request, error)
        except Exception:  # a thread that ended here would leave later requests waiting for ever
            _log.exception("the report of a failed keyframe raised an error itself")

    def _next(self) -> KeyframeRequest | None:
        with self._changed:
            while not self._stopping and self._running is None:
                now_ns = self._clock()
                if not self._at_once:
                    self._begin(self._queue.take(now_ns))
                if self._running is None:
                    self._changed.wait(None if self._at_once else self._queue.wait_s(now_ns))
            return None if self._stopping else self._running

    def _begin(self, request: KeyframeRequest | None) -> None:
        self._running = request
        if request is not None:
            self._on_begun(request)

    def _count(self) -> None:
        self._threshold.update(time.monotonic_ns(), len(self._queue) + (self._running is not None))
