# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The stream of one camera: `CameraStream.steps` processes a frame from image to mask, top to bottom."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from dcfm_ros.model.geometry import input_size
from dcfm_ros.motion.track import Motion, MotionKind, MotionTrack
from dcfm_ros.pipeline.backends.base import Backend
from dcfm_ros.pipeline.camera_clock import CameraClock
from dcfm_ros.pipeline.cpu_gate import CpuGate, NoGate
from dcfm_ros.pipeline.encoder import Encoder
from dcfm_ros.pipeline.frames import (
    EncodeError,
    Frame,
    KeyframeEvent,
    PublishError,
    Reason,
    Segmentation,
    Wanted,
)
from dcfm_ros.pipeline.keyframe import STALLED_S, Keyframe, Reference, Superseded, Work
from dcfm_ros.pipeline.mask_maker import MaskMaker
from dcfm_ros.pipeline.modes import AsyncMode, Decodable
from dcfm_ros.pipeline.networks import Networks
from dcfm_ros.pipeline.preprocess import network_input
from dcfm_ros.pipeline.scheduler import Decision, KeyframeScheduler
from dcfm_ros.pipeline.settings import Alignment, PipelineConfig, SchedulerConfig
from dcfm_ros.pipeline.telemetry import CameraTelemetry
from dcfm_ros.stamps import NS_PER_S

# Processing of one frame as a generator: yields each mask when it is ready, and each Future that has to be
# done before the frame can continue.
Steps = Generator[Future | Segmentation, None, None]


def run(steps: Steps) -> list[Segmentation]:
    """Run the steps of a frame to the end, blocking on each Future, and return the masks. The live pipeline
    does not block: see `LiveSegmenter`."""
    masks = []
    for step in steps:
        if isinstance(step, Future):
            with suppress(CancelledError):
                step.exception()
        else:
            masks.append(step)
    return masks


class StreamResources(NamedTuple):
    """Objects shared by all streams of a segmenter."""

    backend: Backend
    model_size: tuple[int, int]
    networks: Networks
    encoder: Encoder
    gate: CpuGate | NoGate
    on_keyframe: Callable[[KeyframeEvent], None]
    report: Callable[[str, Exception], None]
    masks: MaskMaker
    wanted: Callable[[str], Wanted]


class CameraStream:
    """State and processing of one camera. Used by the mask thread only, except for `telemetry` and
    `request_keyframe`."""

    def __init__(self, camera: str, config: PipelineConfig, mode: AsyncMode, shared: StreamResources):
        self.camera, self._config, self._mode, self._shared = camera, config, mode, shared
        self.telemetry = CameraTelemetry(camera, config.scheduler.threshold)
        self.clock = CameraClock()
        self._reference: Reference | None = None
        self._scheduler = KeyframeScheduler(config.scheduler)
        aligned = config.alignment is Alignment.FLOW and not shared.backend.per_frame
        self._motion = MotionTrack(both_ways=mode.masks_wait) if aligned else None
        self._open: list[Keyframe] = []  # of this sequence, outcome not yet collected, oldest first
        self._newest_started = -1  # index of the newest keyframe that the encoder has started
        self._size: tuple[int, int] | None = None
        self._network_size = (0, 0)
        self._index = -1  # of the newest frame
        self._time_ns = 0
        self._requested = threading.Event()  # set by `request_keyframe`

    def steps(
        self,
        frame: Frame,
        time_ns: int,
        scheduler: SchedulerConfig,
        on_done: Callable[[], None] = lambda: None,
    ) -> Steps:
        """Process a frame. Waits, by yielding a Future, in two places: for the network of a new input size,
        and for the camera's first common feature.

        time_ns: time on the camera's clock
        on_done: called, on any thread, when `collect` has something to do
        """
        backend, gate = self._shared.backend, self._shared.gate
        self._apply_control(scheduler)
        if self._breaks_sequence(frame, time_ns):
            yield from self.flush()
            self._restart()
        index = self._begin_frame(frame, time_ns)
        compiled = self._shared.networks.ready(self._network_size, self.camera)
        yield compiled
        compiled.result()  # raises if the network cannot be compiled: an error of this frame
        with gate.frame():  # as one unit: no slice of the deep path runs between shallow path and mask
            started = time.perf_counter()
            picture = network_input(frame, self._network_size)
            prepared = time.perf_counter()
            self._track_motion(picture, index)
            tracked = time.perf_counter()
            shallow = backend.shallow(picture)
            computed = time.perf_counter()
            self.collect()
            decision = self._decide(picture, index)
            work = Work(
                frame,
                index,
                time_ns,
                picture,
                shallow,
                decision,
                1e3 * (prepared - started),
                1e3 * (tracked - prepared),
                1e3 * (computed - tracked),
            )
            before = self._reference
            if decision.reason is not None:
                self._request(work, on_done)
            self.collect()  # the mask uses the newest feature available
            while self._reference is None and self._open:
                with gate.released():
                    yield self._open[0].outcome
                self.collect()
            masks, error = self._decode(
                self._mode.add(work, before, self._reference, self._scheduler.config.max_interval), work
            )
        yield from masks
        if error is not None:
            raise error

    def collect(self) -> None:
        """Process this camera's keyframes that the encoder has started or finished since the last call,
        oldest first."""
        # Read newest first: a newer keyframe seen as done then implies that the older ones are done, too.
        found = [
            (keyframe, keyframe.outcome.done(), keyframe.has_started) for keyframe in reversed(self._open)
        ]
        for keyframe, is_done, has_started in reversed(found):
            if has_started and keyframe.work.index > self._newest_started:
                self._newest_started = keyframe.work.index
                self._scheduler.started(keyframe.work.network_input, keyframe.work.index)
            if is_done:
                self._open.remove(keyframe)
                self._finish_keyframe(keyframe)

    def flush(self) -> list[Segmentation]:
        """Return the masks of frames that wait for the next keyframe, made without it."""
        self.collect()
        return self._decode(self._mode.flush(self._reference))[0]

    def drop_waiting(self) -> None:
        """Discard frames that wait for the next keyframe."""
        self.telemetry.count("discarded", len(self._mode.flush(None)))

    def release(self) -> None:
        """Drop all features at once: they are megabytes that need not wait for the garbage collector."""
        self._open.clear()
        self._reference = None
        if self._motion is not None:
            self._motion.restart()

    def request_keyframe(self) -> None:
        """Make the next frame a keyframe. May be called from any thread."""
        self._requested.set()

    def _apply_control(self, scheduler: SchedulerConfig) -> None:
        self._scheduler.config = scheduler
        if self._requested.is_set():
            self._requested.clear()
            self._scheduler.force(Reason.REQUESTED)

    def _breaks_sequence(self, frame: Frame, time_ns: int) -> bool:
        """Return whether this frame starts a new sequence: other size, time jumped back, or a long
        silence."""
        if self._size is None:
            return False
        gap_ns = time_ns - self._time_ns
        return frame.image.shape[:2] != self._size or gap_ns < 0 or gap_ns > self._config.silence_s * NS_PER_S

    def _restart(self) -> None:
        """Start a new sequence: keyframes of the old one are obsolete."""
        for keyframe in self._open:
            keyframe.superseded.set()
        self.release()
        self._scheduler.restart(Reason.RESET)
        self.telemetry.count("resets")

    def _begin_frame(self, frame: Frame, time_ns: int) -> int:
        """Register the frame as the next of the sequence and return its index."""
        if frame.image.shape[:2] != self._size:
            self._size = frame.image.shape[:2]
            self._network_size = input_size(self._size, self._shared.model_size)
            self.telemetry.note(size=self._size)
        self._time_ns = time_ns
        self.telemetry.note(stamp_stands_s=self.clock.stands_s)
        self._index += 1
        self._note_reference()
        return self._index

    def _track_motion(self, picture: np.ndarray, index: int) -> None:
        """Extend the motion track to this frame, for all keyframes whose features may still be used and all
        frames that still wait for their masks."""
        if self._motion is not None:
            needed = {keyframe.work.index for keyframe in self._open} | set(self._mode.waiting)
            if self._reference is not None:
                needed.add(self._reference.index)
            self._motion.add(picture, index, needed)

    def _decide(self, picture: np.ndarray, index: int) -> Decision:
        """Decide whether this frame becomes a keyframe. picture: its network input."""
        scale = self._shared.encoder.threshold_scale()
        decision = self._scheduler.evaluate(picture, index, scale, self._motion)
        if decision.is_cut and self._motion is not None:
            self._motion.cut()
        self.telemetry.note(threshold=scale * self._scheduler.config.threshold)
        if decision.interval > self._scheduler.config.max_interval:
            self.telemetry.count("overdue")
        return decision

    def _request(self, work: Work, on_done: Callable[[], None]) -> None:
        keyframe = Keyframe(work, is_first=self._reference is None)
        keyframe.outcome.add_done_callback(lambda outcome: on_done())
        older = list(self._open)
        self._open.append(keyframe)
        if not self._shared.encoder.submit(keyframe):
            self.telemetry.count("over_budget")
        elif keyframe.is_cut:  # older keyframes are obsolete, but consecutive cuts must not end each other
            for other in older:
                if not other.is_cut:
                    other.superseded.set()

    def _finish_keyframe(self, keyframe: Keyframe) -> None:
        work, outcome = keyframe.work, keyframe.outcome
        queue_ms, encode_ms = (
            1e-6 * (end - begin)
            for begin, end in (
                (keyframe.requested_ns, keyframe.started_ns),
                (keyframe.started_ns, keyframe.ended_ns),
            )
        )
        if encode_ms > 1e3 * STALLED_S:
            self.telemetry.count("slow_encodes")
        if outcome.cancelled() or isinstance(outcome.exception(), Superseded):
            return
        if (failure := outcome.exception()) is not None:
            self._scheduler.failed(work.index)
            self._shared.report(self.camera, EncodeError("keyframe encoder", failure))
            return
        assert work.decision.reason is not None  # it is a keyframe
        interval = 0 if self._reference is None else work.index - self._reference.index
        self._reference = Reference(outcome.result(), work.index, work.frame.stamp_ns, work.time_ns)
        self._scheduler.succeeded(work.network_input, work.index)
        self.telemetry.encoded(queue_ms, encode_ms)
        self._note_reference()
        try:
            self._shared.on_keyframe(
                KeyframeEvent(
                    work.frame,
                    work.index,
                    work.decision.reason,
                    work.decision.score,
                    interval,
                    queue_ms,
                    encode_ms,
                )
            )
        except Exception as error:  # a failing publisher must not stop the masks
            self._shared.report(self.camera, PublishError("keyframe event", error))

    def _decode(
        self, decodables: list[Decodable], own: Work | None = None
    ) -> tuple[list[Segmentation], Exception | None]:
        """Make the masks of all frames that have a feature. Errors are reported, except that of the frame
        `own`, which is returned."""
        masks, own_error = [], None
        for work, references in decodables:
            found = [reference for reference in references if reference is not None]
            if not found:
                self.telemetry.count("without_feature")
                continue
            try:
                masks.append(self._mask(work, found))
            except Exception as error:
                if work is own:
                    own_error = error
                else:
                    self._shared.report(self.camera, error)
        return masks, own_error

    def _mask(self, work: Work, references: list[Reference]) -> Segmentation:
        frame, oldest = work.frame, references[0]
        started = time.perf_counter()
        motions = [
            Motion() if self._motion is None else self._motion.motion(work.index, reference.index)
            for reference in references
        ]
        masks = self._shared.masks.make(
            work.shallow,
            [reference.feature for reference in references],
            frame.image.shape[:2],
            self._shared.wanted(self.camera),
            [motion.map for motion in motions],
        )
        ended, now_ns = time.perf_counter(), time.monotonic_ns()
        latency_ms = (now_ns - frame.received_ns) / 1e6 if frame.received_ns else 0.0
        self.telemetry.masked(now_ns, latency_ms, work.motion_ms)
        if self._motion is not None and motions[0].kind is MotionKind.NONE:
            self.telemetry.count("unaligned")
        return Segmentation(
            frame=frame,
            mask=masks.labels,
            confidence=masks.confidence,
            probabilities=masks.probabilities,
            index=work.index,
            is_keyframe=work.decision.reason is not None,
            mode=self._config.mode,
            feature_stamp_ns=oldest.stamp_ns,
            feature_age_frames=work.index - oldest.index,
            feature_age_s=(work.time_ns - oldest.time_ns) / NS_PER_S,
            alignment=motions[0].kind,
            motion_px=motions[0].pixels(frame.image.shape[:2]),
            score=work.decision.score,
            dropped=self.telemetry.take_dropped(),
            preprocess_ms=work.preprocess_ms,
            motion_ms=work.motion_ms,
            shallow_ms=work.shallow_ms,
            postprocess_ms=1e3 * (ended - started),
            latency_ms=latency_ms,
        )

    def _note_reference(self) -> None:
        reference = self._reference
        self.telemetry.note(
            has_feature=reference is not None,
            feature_age_frames=0 if reference is None else self._index - reference.index,
        )
