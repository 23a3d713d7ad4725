# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Keyframe encoders run the deep path: within the frame, or on a thread of its own, so that no mask waits for
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
from dcfm_ros.pipeline.keyframe import Keyframe, Superseded, left_behind
from dcfm_ros.pipeline.keyframe_queue import KeyframeQueue
from dcfm_ros.pipeline.settings import SchedulerConfig, ThresholdRule

_log = logging.getLogger(__name__)
_REFUSED_S = 1.0  # for which a camera whose keyframe was refused may claim the next one


def encode(backend: Backend, keyframe: Keyframe, gate: CpuGate | NoGate = NoGate()) -> Callable[[], None]:
    """Run the deep path of a keyframe that has been started. Whatever becomes of it is its outcome, which
    what is returned sets."""

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
    except BaseException as error:  # whatever a backend raises: masks go on, the next keyframe tries again
        _log.debug("the deep path ended", exc_info=True)
        # Its traceback would keep all that this function and the deep path hold.
        outcome = partial(keyframe.outcome.set_exception, error.with_traceback(None))
    keyframe.ended_ns = time.monotonic_ns()
    return outcome


class Encoder(ABC):
    """What both encoders have in common. Any thread may call their methods."""

    def __init__(self, backend: Backend, config: SchedulerConfig, ttl_s: float = math.inf):
        """ttl_s: as for KeyframeQueue"""
        self._backend = backend
        self._queue = KeyframeQueue(KeyframeBudget(config.keyframe_budget_hz), ttl_s)
        self._changed = (
            threading.Condition()
        )  # guards all below, and the queue; not held while the deep path runs
        self._running: Keyframe | None = None
        self._stopping = False

    @abstractmethod
    def submit(self, keyframe: Keyframe) -> bool:
        """Take a keyframe, whose outcome is set sooner or later. False: for want of budget it has to wait, or
        is refused."""

    def threshold_scale(self) -> float:
        """What thresholds are to be multiplied by, so that the encoder has time for the keyframes."""
        return 1.0

    def running(self) -> Keyframe | None:
        """The keyframe whose deep path is at work."""
        with self._changed:
            return self._running

    def reconfigure(self, config: SchedulerConfig) -> None:
        """Another budget, another rule for the threshold."""
        with self._changed:
            self._queue.budget.set_rate(config.keyframe_budget_hz)
            self._changed.notify()

    def stop(self) -> None:
        """No deep path from now on: what waits is cancelled, what runs ends between two slices. A second time
        is harmless."""
        with self._changed:
            self._stopping = True
            if self._running is not None:
                self._running.superseded.set()
            left = self._queue.clear()
            self._changed.notify()
        for keyframe in left:
            keyframe.outcome.cancel()

    def _start(self, keyframe: Keyframe) -> None:
        keyframe.started_ns = time.monotonic_ns()
        keyframe.outcome.set_running_or_notify_cancel()
        self._running = keyframe

    def _end(self) -> None:
        with self._changed:
            self._running = None


class InlineEncoder(Encoder):
    """Encodes within `submit`: the outcome is set when that returns.

    The budget runs on the frames' time, so that a replay has the same keyframes each time. A keyframe is
    encoded or refused; a camera whose keyframe was refused is remembered for a second, and the others leave
    the next one to it if it is its turn.
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
        if isinstance(keyframe.outcome.exception(), (KeyboardInterrupt, SystemExit)):
            raise keyframe.outcome.exception()
        return True


class ThreadedEncoder(Encoder):
    """Encodes on its own thread, whose slices take turns with frames at `gate`.

    At most one keyframe of each camera waits: a newer one displaces it. Which is next: see `KeyframeQueue`.
    An idle encoder takes a keyframe up within `submit`. The budget runs in real time.
    """

    def __init__(
        self, backend: Backend, gate: CpuGate | NoGate = NoGate(), config: SchedulerConfig = SchedulerConfig()
    ):
        super().__init__(backend, config)
        self._gate = gate
        self._threshold = DeadlineThreshold(config.encoder_share)
        self._follows = config.threshold_rule is ThresholdRule.DEADLINE
        self._left_behind = False
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
        """Also joins the thread, unless the deep path does not return: then the thread is left behind."""
        super().stop()
        if not self._left_behind:
            self._left_behind = left_behind(self._thread)

    def _run(self) -> None:
        while (keyframe := self._next()) is not None:
            settle = encode(self._backend, keyframe, self._gate)
            self._end()
            settle()  # whoever goes on now finds an idle encoder
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
