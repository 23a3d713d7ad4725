# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Keyframe encoders: run the deep path within the frame, or on a thread of its own so that no mask waits for
it."""

from __future__ import annotations

import logging
import math
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial

from dcfm_ros.pipeline.backends.base import Backend
from dcfm_ros.pipeline.budget import KeyframeBudget, StampClock
from dcfm_ros.pipeline.cpu_gate import CpuGate, NoGate
from dcfm_ros.pipeline.deadline import DeadlineThreshold
from dcfm_ros.pipeline.keyframe import Keyframe, Superseded, join_timed_out
from dcfm_ros.pipeline.keyframe_queue import KeyframeQueue
from dcfm_ros.pipeline.settings import SchedulerConfig, ThresholdRule

_log = logging.getLogger(__name__)
_REFUSED_S = 1.0  # a camera whose keyframe was refused keeps its claim on the next one for this long


def encode(backend: Backend, keyframe: Keyframe, gate: CpuGate | NoGate = NoGate()) -> Callable[[], None]:
    """Run the deep path of a started keyframe. Returns a function that sets the keyframe's outcome to the
    result or the exception."""

    def between_slices() -> None:
        if keyframe.superseded.is_set():
            raise Superseded
        gate.yield_to_frames()

    try:
        with gate.encoding():
            if keyframe.superseded.is_set():
                raise Superseded
            outcome = partial(
                keyframe.outcome.set_result, backend.deep(keyframe.work.shallow, between_slices)
            )
    except BaseException as error:  # a failing deep path must not stop the masks
        _log.debug("the deep path raised", exc_info=True)
        # The traceback would keep the local variables of this function and of the deep path alive.
        outcome = partial(keyframe.outcome.set_exception, error.with_traceback(None))
    keyframe.ended_ns = time.monotonic_ns()
    return outcome


class Encoder(ABC):
    """Base class of the encoders. All methods are thread-safe."""

    def __init__(self, backend: Backend, config: SchedulerConfig, ttl_s: float = math.inf):
        """ttl_s: see KeyframeQueue"""
        self._backend = backend
        self._queue = KeyframeQueue(KeyframeBudget(config.keyframe_budget_hz), ttl_s)
        # guards the queue and the attributes below; not held while the deep path runs
        self._changed = threading.Condition()
        self._running: Keyframe | None = None
        self._stopping = False

    @abstractmethod
    def submit(self, keyframe: Keyframe) -> bool:
        """Accept a keyframe, whose outcome will be set eventually. Returns False if the budget makes it wait
        or refuses it."""

    def threshold_scale(self) -> float:
        """Return the factor for the thresholds that keeps the number of keyframes within the encoder's
        capacity."""
        return 1.0

    def running(self) -> Keyframe | None:
        """Return the keyframe whose deep path is running, or None."""
        with self._changed:
            return self._running

    def reconfigure(self, config: SchedulerConfig) -> None:
        """Set the budget and the threshold rule."""
        with self._changed:
            self._queue.budget.set_rate(config.keyframe_budget_hz)
            self._changed.notify()

    def stop(self) -> None:
        """Stop encoding: queued keyframes are cancelled, a running one ends between two slices. May be called
        more than once."""
        with self._changed:
            self._stopping = True
            if self._running is not None:
                self._running.superseded.set()
            queued = self._queue.clear()
            self._changed.notify()
        for keyframe in queued:
            keyframe.outcome.cancel()

    def _start(self, keyframe: Keyframe) -> None:
        keyframe.started_ns = time.monotonic_ns()
        keyframe.outcome.set_running_or_notify_cancel()
        self._running = keyframe

    def _end(self) -> None:
        with self._changed:
            self._running = None


class InlineEncoder(Encoder):
    """Encodes within `submit`: the outcome is set when it returns.

    The budget is measured on the frames' time, so that every replay has the same keyframes. A keyframe is
    either encoded or refused; the claim of a camera whose keyframe was refused stays in the queue for a
    second, so that other cameras leave it the next keyframe if it is its turn.
    """

    def __init__(self, backend: Backend, stamps: StampClock, config: SchedulerConfig = SchedulerConfig()):
        super().__init__(backend, config, _REFUSED_S)
        self._stamps = stamps

    def submit(self, keyframe: Keyframe) -> bool:
        with self._changed:
            now_ns = self._stamps.now_ns
            self._queue.put(keyframe, now_ns)
            taken = not self._stopping and self._queue.take_if_next(keyframe, now_ns)
            if taken:
                self._start(keyframe)
        if not taken:
            keyframe.outcome.cancel()
            return self._stopping
        settle = encode(self._backend, keyframe)
        self._end()
        settle()
        if isinstance(error := keyframe.outcome.exception(), (KeyboardInterrupt, SystemExit)):
            raise error
        return True


class ThreadedEncoder(Encoder):
    """Encodes on its own thread, whose slices take turns with frames at `gate`.

    At most one keyframe per camera is queued: a newer one displaces it. For the order see `KeyframeQueue`. An
    idle encoder starts a keyframe within `submit`. The budget is measured in real time.
    """

    def __init__(
        self, backend: Backend, gate: CpuGate | NoGate = NoGate(), config: SchedulerConfig = SchedulerConfig()
    ):
        super().__init__(backend, config)
        self._gate = gate
        self._threshold = DeadlineThreshold(config.encoder_share)
        self._follows = config.threshold_rule is ThresholdRule.DEADLINE
        self._abandoned = False
        self._thread = threading.Thread(target=self._run, name="dcfm-keyframe-encoder", daemon=True)
        self._thread.start()

    def submit(self, keyframe: Keyframe) -> bool:
        with self._changed:
            now_ns = time.monotonic_ns()
            allowed = self._stopping or self._queue.allows(keyframe, now_ns)
            displaced = keyframe if self._stopping else self._queue.put(keyframe, now_ns)
            self._take_next()
            self._count()
            self._changed.notify()
        if displaced is not None:
            displaced.outcome.cancel()
        return allowed

    def threshold_scale(self) -> float:
        with self._changed:
            return self._threshold.factor(time.monotonic_ns()) if self._follows else 1.0

    def reconfigure(self, config: SchedulerConfig) -> None:
        with self._changed:
            self._threshold.share = config.encoder_share
            self._follows = config.threshold_rule is ThresholdRule.DEADLINE
        super().reconfigure(config)

    def stop(self) -> None:
        """Stop encoding and join the thread; it is abandoned if the deep path does not return."""
        super().stop()
        if not self._abandoned:
            self._abandoned = join_timed_out(self._thread)

    def _run(self) -> None:
        while (keyframe := self._next()) is not None:
            settle = encode(self._backend, keyframe, self._gate)
            self._end()
            settle()  # after `_end`, so that callbacks find an idle encoder
            del keyframe, settle

    def _next(self) -> Keyframe | None:
        with self._changed:
            while self._running is None and not self._stopping:
                self._take_next()
                if self._running is None:
                    self._changed.wait(self._queue.wait_s(time.monotonic_ns()))
            return self._running

    def _take_next(self) -> None:
        if self._running is None and (keyframe := self._queue.take(time.monotonic_ns())) is not None:
            self._start(keyframe)

    def _end(self) -> None:
        with self._changed:
            self._running = None
            self._count()

    def _count(self) -> None:
        self._threshold.update(time.monotonic_ns(), len(self._queue) + (self._running is not None))
