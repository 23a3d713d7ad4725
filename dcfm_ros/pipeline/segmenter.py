# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The segmenter: frames in, masks out. `process` spells out the way of a frame; nothing else does."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace
from typing import Any, Callable, NamedTuple

import numpy as np

from dcfm_ros.model.build import Model
from dcfm_ros.pipeline.backends import Sharing, make_backend
from dcfm_ros.pipeline.backends.base import Backend, status_of, stop_backend
from dcfm_ros.pipeline.budget import StampClock
from dcfm_ros.pipeline.camera import CameraState, CameraStatus
from dcfm_ros.pipeline.encoder import Encoded, KeyframeEncoder, KeyframeRequest
from dcfm_ros.pipeline.frames import CommonFeature, Frame, KeyframeEvent, Reason, Segmentation
from dcfm_ros.model.geometry import input_size
from dcfm_ros.pipeline.preprocess import network_input
from dcfm_ros.pipeline.scheduler import Decision
from dcfm_ros.pipeline.settings import Mode, PipelineConfig, SchedulerConfig, ThresholdRule, TurnTaking
from dcfm_ros.pipeline.turns import Turns, cores_are_shared, sharing


_log = logging.getLogger(__name__)


class _Parked(NamedTuple):
    """A frame that others need not wait for: it goes on once something is finished."""

    finished: threading.Event
    go_on: Callable[[], list[Segmentation]]


class _Pending(NamedTuple):
    """A frame after its shallow path, before its mask."""

    frame: Frame
    index: int
    decision: Decision
    shallow: Any
    preprocess_ms: float
    shallow_ms: float


class Segmenter:
    """Segments the frames of any number of cameras with one network.

    `process` and `flush` are for one thread at a time. Everything else may be called from any thread.
    `on_keyframe` and `on_encode_error` are called on the encoder's thread.
    """

    def __init__(
        self,
        backend: Backend,
        model_size: tuple[int, int],
        config: PipelineConfig = PipelineConfig(),
        on_keyframe: Callable[[KeyframeEvent], None] = lambda event: None,
        on_encode_error: Callable[[str, Exception], None] = lambda camera, error: None,
        wants_confidence: Callable[[str], bool] = lambda camera: False,
    ):
        self._backend, self._model_size = backend, model_size
        self.config = _every_frame(config) if backend.per_frame else config
        self._on_keyframe, self._on_encode_error = on_keyframe, on_encode_error
        self._wants_confidence = wants_confidence
        self._cameras: dict[str, CameraState] = {}
        self._creating = threading.Lock()
        self._pending: dict[str, list[_Pending]] = {}
        self._parked: dict[str, _Parked] = {}
        self._prepared: dict[tuple[int, int], threading.Event] = {}   # by size of the network input
        self._preparing: list[threading.Thread] = []
        self._on_ready: Callable[[], None] | None = None
        self._turns = Turns(config.turns is TurnTaking.SLICED if backend.device != "cpu" else cores_are_shared(config.turns))
        self._stamps = StampClock(config.silence_s)
        self._encoder = KeyframeEncoder(
            backend, self._encoded, self._encode_failed, self._turns, self._begun, self.config.scheduler,
            clock=None if self.config.mode is Mode.ASYNC else lambda: self._stamps.now_ns)

    @classmethod
    def of(cls, model: Model, backend: str = "auto", device: str = "auto", config: PipelineConfig = PipelineConfig(),
           precision: str = "auto", live: bool = False, **callbacks) -> "Segmenter":
        """The segmenter of a model: `backend`, `device`, `precision` and `live` as for `make_backend`, `callbacks` as for this
        class.

        A per-frame model runs its whole network on each frame, in mode `sync`.
        """
        if model.config.shallow_on != "all":
            raise ValueError(f"the model's shallow_on is {model.config.shallow_on!r}: such an ablation can only be "
                             "evaluated (dcfm evaluate)")
        size = (model.config.input_height, model.config.input_width)
        # A per-frame network's deep path is all its work: nothing runs beside it.
        shared = Sharing.NONE if model.config.architecture == "per_frame" else sharing(config)
        runs = make_backend(backend, model, device, precision, shared, live)
        return cls(runs, size, config, **callbacks)

    @property
    def backend(self) -> Backend:
        return self._backend

    @property
    def per_frame(self) -> bool:
        """Does every frame run the whole network? Keyframe settings then mean nothing."""
        return self._backend.per_frame

    def prepare(self) -> None:
        """Compile and warm up everything for images of the model's own size, so that the first frame does not wait."""
        size = input_size(self._model_size, self._model_size)
        image = np.zeros((2 * size[0], 2 * size[1], 3), np.uint8)
        for writable in (True, False):  # loops are compiled for each
            image.flags.writeable = writable
            prepared = network_input(Frame("", 0, image), size)
        shallow = self._backend.shallow(prepared)
        commons = [self._backend.deep(shallow)]
        for with_confidence in (True, False):
            self._backend.mask(shallow, commons, self._model_size, with_confidence)
        self._prepared[size] = _set_event()

    # The way of a frame

    def process(self, frame: Frame) -> list[Segmentation]:
        """Masks that are ready now: in `async` and `sync` this frame's, in `two_sided` those a keyframe completes.

        The list is empty while the camera has no common feature (its first keyframe failed), and where the frame was parked.
        """
        camera = self.camera(frame.camera)
        self._stamps.advance(frame.camera, frame.stamp_ns)
        ready = self._begin(camera, frame)
        index = camera.adopt(frame)
        if self._on_ready and not (prepared := self._preparation(camera.network_size)).is_set():
            self._parked[camera.name] = _Parked(prepared, lambda: self._segment(camera, frame, index))
            return ready
        return ready + self._segment(camera, frame, index)

    def _segment(self, camera: CameraState, frame: Frame, index: int) -> list[Segmentation]:
        before = camera.common
        with self._turns.frame():
            started = time.perf_counter()
            image = network_input(frame, camera.network_size)
            prepared = time.perf_counter()
            shallow = self._backend.shallow(image)
            computed = time.perf_counter()
            decision = camera.decide(image, self._encoder.relief())
            pending = _Pending(frame, index, decision, shallow, 1e3 * (prepared - started), 1e3 * (computed - prepared))
            if decision.reason is not None:
                request = self._request(camera, frame, index, image, shallow, decision)
                if not self._encoder.submit(request):
                    camera.held_back()
                if self.config.mode is Mode.ASYNC and before is None and self._on_ready:
                    self._parked[camera.name] = _Parked(
                        request.finished, lambda: self._conclude(camera, pending))
                    return []
                if self.config.mode is not Mode.ASYNC or before is None:
                    with self._turns.pause():
                        request.wait()
            if self.config.mode is not Mode.TWO_SIDED:
                common = camera.common
                if self.per_frame and common is not None and common.index != index:
                    common = None  # the network failed on this frame: the logits at hand are another frame's
                return self._decode(camera, pending, [common])
            return self._two_sided(camera, pending, before)

    def flush(self) -> list[Segmentation]:
        """Masks of frames that still wait for a next keyframe (`two_sided`), from the previous one alone."""
        return [mask for camera in list(self._cameras.values()) for mask in self._release(camera, [camera.common])]

    # Frames that others need not wait for

    def park(self, on_ready: Callable[[], None] | None) -> None:
        """From now on a frame that waits for a network to be compiled, or in mode `async` for its camera's first common
        feature, is parked: `process` returns, `on_ready` is called on some thread when it can go on, and `resume` gives its
        masks. With None `process` waits again, and parked frames and, in mode `two_sided`, those that wait for a keyframe are
        forgotten."""
        self._on_ready = on_ready
        self._parked.clear()
        self._pending.clear()

    def is_parked(self, camera: str) -> bool:
        """Is a frame of this camera parked? Its next frames have to wait outside."""
        return camera in self._parked

    def resumable(self) -> str | None:
        """A camera whose parked frame can go on."""
        return next((name for name, parked in self._parked.items() if parked.finished.is_set()), None)

    def resume(self, camera: str) -> list[Segmentation]:
        """As `process`, for the parked frame of this camera."""
        return self._parked.pop(camera).go_on()

    def _preparation(self, size: tuple[int, int]) -> threading.Event:
        """Set once the backend is ready for network inputs of this size, or has failed to be: then the frame tells."""
        if size not in self._prepared:
            self._prepared[size] = finished = threading.Event()

            def prepare() -> None:
                try:
                    self._backend.prepare(size)
                except Exception:
                    _log.exception("cannot prepare the backend for images of %d x %d", size[1], size[0])
                finally:
                    finished.set()
                    self._ready()

            thread = threading.Thread(target=prepare, name="dcfm-prepare", daemon=True)
            self._preparing.append(thread)
            thread.start()
        return self._prepared[size]

    def _ready(self) -> None:
        if (on_ready := self._on_ready) is not None:
            on_ready()

    def _begin(self, camera: CameraState, frame: Frame) -> list[Segmentation]:
        if not camera.needs_reset(frame):
            return []
        ready = self._release(camera, [camera.common])
        camera.reset(Reason.RESET)
        return ready

    def _conclude(self, camera: CameraState, pending: _Pending) -> list[Segmentation]:
        with self._turns.frame():
            return self._decode(camera, pending, [camera.common])

    def _two_sided(self, camera: CameraState, pending: _Pending, before: CommonFeature | None) -> list[Segmentation]:
        after = camera.common
        if pending.decision.reason is None or after is before:  # no keyframe, or its encoding failed: keep waiting
            self._pending.setdefault(camera.name, []).append(pending)
            overdue = len(self._pending[camera.name]) > camera.scheduler.config.max_interval
            return self._release(camera, [before]) if overdue or before is None else []
        return self._release(camera, [before, after]) + self._decode(camera, pending, [after])

    def _release(self, camera: CameraState, commons: list[CommonFeature | None]) -> list[Segmentation]:
        waiting = self._pending.pop(camera.name, [])
        return [mask for pending in waiting for mask in self._decode(camera, pending, commons)]

    def _decode(self, camera: CameraState, pending: _Pending, commons: list[CommonFeature | None]) -> list[Segmentation]:
        """The mask of a frame from the common features of its keyframes; none without any."""
        features = [common for common in commons if common is not None]
        if not features:
            return []
        started = time.perf_counter()
        frame = pending.frame
        mask, confidence = self._backend.mask(
            pending.shallow, [common.feature for common in features], frame.image.shape[:2], self._wants_confidence(camera.name))
        ended = time.perf_counter()
        now = time.monotonic_ns()
        segmentation = Segmentation(
            frame=frame, mask=mask, confidence=confidence, index=pending.index,
            is_keyframe=pending.decision.reason is not None, mode=self.config.mode,
            feature_stamp_ns=features[0].stamp_ns,
            feature_age_frames=pending.index - features[0].index,
            feature_age_s=(frame.stamp_ns - features[0].stamp_ns) / 1e9,
            score=pending.decision.score, dropped=camera.take_dropped(),
            preprocess_ms=pending.preprocess_ms, shallow_ms=pending.shallow_ms, postprocess_ms=1e3 * (ended - started),
            latency_ms=(now - frame.received_ns) / 1e6 if frame.received_ns else 0.0,
        )
        camera.counts["masks"] += 1
        camera.masks_sent.add(now)
        camera.latency.add(segmentation.latency_ms)
        return [segmentation]

    # Keyframes

    def _request(self, camera, frame, index, image, shallow, decision: Decision) -> KeyframeRequest:
        return KeyframeRequest(
            frame, camera.epoch, index, image, shallow, decision.reason, decision.score, decision.urgency,
            is_first=camera.common is None, is_cut=decision.is_cut, on_finished=self._ready)

    def _begun(self, request: KeyframeRequest) -> None:
        self._cameras[request.frame.camera].begun(request)

    def _encoded(self, encoded: Encoded) -> None:
        request = encoded.request
        interval = self._cameras[request.frame.camera].accept(encoded)
        if interval is not None:
            self._on_keyframe(KeyframeEvent(
                request.frame, request.index, request.reason, request.score, interval,
                encoded.queue_ms, encoded.encode_ms))

    def _encode_failed(self, request: KeyframeRequest, error: Exception) -> None:
        self._cameras[request.frame.camera].encode_failed(request.index, request.epoch, error)
        self._on_encode_error(request.frame.camera, error)

    # Control and reporting

    def camera(self, name: str) -> CameraState:
        with self._creating:
            if name not in self._cameras:
                self._cameras[name] = CameraState(name, self.config, self._model_size)
            return self._cameras[name]

    def request_keyframe(self) -> None:
        """The next frame of every camera becomes a keyframe."""
        for camera in list(self._cameras.values()):
            camera.request_keyframe()

    def reconfigure(self, scheduler: SchedulerConfig) -> None:
        """Other keyframe bounds and thresholds, from the next frame on."""
        with self._creating:  # cameras that come later have them, too
            config = replace(self.config, scheduler=scheduler)
            self.config = _every_frame(config) if self.per_frame else config
            for camera in self._cameras.values():
                camera.reconfigure(self.config.scheduler)
            self._encoder.reconfigure(self.config.scheduler)

    def status(self) -> list[CameraStatus]:
        return [camera.status() for camera in list(self._cameras.values())]

    def backend_status(self) -> dict[str, str]:
        """As `backends.base.status_of`."""
        return status_of(self._backend)

    def end_encodes(self) -> None:
        """No deep path from now on: the running one ends with its slice, and a frame that waits for one goes on without."""
        self._encoder.stop()

    def stop(self) -> None:
        """End the encoder's thread; `process` must not be called any more. A network that is being compiled is waited for."""
        self._encoder.stop()
        stop_backend(self._backend)
        for thread in self._preparing:
            thread.join()
        self._pending.clear()
        self._parked.clear()
        for camera in self._cameras.values():
            camera.common = None   # megabytes that need not wait for the garbage collector


def _set_event() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


def _every_frame(config: PipelineConfig) -> PipelineConfig:
    """As a per-frame network needs it: every frame a keyframe, and its mask made of its own deep path."""
    return replace(config, mode=Mode.SYNC, scheduler=replace(
        config.scheduler, min_interval=1, max_interval=1, threshold_rule=ThresholdRule.FIXED, keyframe_budget_hz=0.0))
