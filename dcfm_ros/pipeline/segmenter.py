# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The segmenter: frames in, masks out. The processing of a frame is in `CameraStream.steps`."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from dcfm_ros.model.class_map import ClassMap, read_class_map
from dcfm_ros.model.stored import AnyModel
from dcfm_ros.pipeline.backends import make_backend
from dcfm_ros.pipeline.backends.base import Backend, status_of, stop_backend
from dcfm_ros.pipeline.budget import StampClock
from dcfm_ros.pipeline.cpu_gate import make_gate, sharing
from dcfm_ros.pipeline.encoder import InlineEncoder, ThreadedEncoder
from dcfm_ros.pipeline.frames import Frame, KeyframeEvent, Segmentation, Wanted
from dcfm_ros.pipeline.loops import beside, compile_loops
from dcfm_ros.pipeline.mask_maker import MaskMaker
from dcfm_ros.pipeline.modes import mode_type
from dcfm_ros.pipeline.networks import Networks
from dcfm_ros.pipeline.settings import (
    AksScore,
    Alignment,
    MaskSize,
    Mode,
    PipelineConfig,
    SchedulerConfig,
    ThresholdRule,
)
from dcfm_ros.pipeline.stream import CameraStream, Steps, StreamResources, run
from dcfm_ros.pipeline.telemetry import CameraStatus, CameraTelemetry
from dcfm_ros.stamps import NS_PER_S

_log = logging.getLogger(__name__)


class Segmenter:
    """Segments the frames of any number of cameras with one network.

    `steps` and its generators, `process`, `flush`, `collect` and `drop_waiting` must be called from one
    thread at a time, which also calls `on_keyframe`, `on_error` and `wanted`. All other methods are
    thread-safe.
    """

    def __init__(
        self,
        backend: Backend,
        model_size: tuple[int, int],
        config: PipelineConfig = PipelineConfig(),
        on_keyframe: Callable[[KeyframeEvent], None] = lambda event: None,
        on_error: Callable[[str, Exception], None] = lambda camera, error: _log.error(
            "%s: %s", camera or "camera", error
        ),
        wanted: Callable[[str], Wanted] = lambda camera: Wanted(),
        class_map: ClassMap | None = None,
    ):
        """on_keyframe: called with each keyframe whose common feature is ready
        on_error: called with a camera and an error that `process` does not raise: an EncodeError, a
            PublishError, or the error of a frame that had waited (`two_sided`); live, with all errors
        wanted: returns the outputs requested in addition to a camera's next mask
        class_map: applied to the masks; None: the model's own classes
        """
        self._backend, self._on_error, self.class_map = backend, on_error, class_map
        config = _in_use(config, backend.per_frame)
        self._mode = mode_type(config.mode, backend.per_frame)
        gate = make_gate(config, backend.device, self._mode.inline)
        self._stamps = StampClock(config.silence_s)
        self._encoder = (
            InlineEncoder(backend, self._stamps, config.scheduler)
            if self._mode.inline
            else ThreadedEncoder(backend, gate, config.scheduler)
        )
        self._networks = Networks(backend)
        self._shared = StreamResources(
            backend,
            model_size,
            self._networks,
            self._encoder,
            gate,
            on_keyframe,
            self.report,
            MaskMaker(backend, MaskSize(config.mask_size), class_map),
            wanted,
        )
        self.driving = threading.Lock()  # held by the thread that processes live frames
        self._lock = threading.Lock()  # guards the two attributes below
        self._config = config
        self._streams: dict[str, CameraStream] = {}

    @classmethod
    def of(
        cls,
        model: AnyModel,
        backend: str = "auto",
        device: str = "auto",
        config: PipelineConfig = PipelineConfig(),
        precision: str = "auto",
        live: bool = False,
        class_map: str = "",
        **callbacks,
    ) -> Segmenter:
        """Create the segmenter of a model. `backend`, `device`, `precision` and `live`: see `make_backend`;
        `class_map`: see `read_class_map`; `callbacks`: see this class.

        A per-frame model runs its whole network on each frame, in mode `sync`.
        """
        if model.config.shallow_on != "all":
            raise ValueError(
                f"the model's shallow_on is {model.config.shallow_on!r}: such an ablation can only be "
                "evaluated (dcfm evaluate)"
            )
        mapped = read_class_map(class_map, model.config.classes)
        shared = sharing(config, model.config.architecture == "per_frame")
        with beside(compile_loops):  # both take seconds the first time, and most of it in native code
            runs = make_backend(backend, model, device, precision, shared, live)
        return cls(
            runs, (model.config.input_height, model.config.input_width), config, class_map=mapped, **callbacks
        )

    # Frames

    def process(self, frame: Frame) -> list[Segmentation]:
        """Process a frame and return the masks that are ready: in `async` and `sync` this frame's, in
        `two_sided` those that a keyframe completes.

        The list is empty while the camera has no common feature (its first keyframe failed).
        """
        return run(self.steps(frame))

    def steps(self, frame: Frame, on_done: Callable[[], None] = lambda: None) -> Steps:
        """Same as `process`, as a generator, for callers that must not block. Finish one frame of a camera
        before the next. on_done: called, on any thread, when `collect` has something to do."""
        with self._lock:
            stream, scheduler = self._stream(frame.camera), self._config.scheduler
        time_ns = stream.clock.time_ns(frame.stamp_ns, frame.arrival_ns)
        self._stamps.advance(frame.camera, time_ns)
        return stream.steps(frame, time_ns, scheduler, on_done)

    def collect(self) -> None:
        """Process finished keyframes now; otherwise this happens with the camera's next frame."""
        for stream in self._all():
            stream.collect()

    def flush(self) -> list[Segmentation]:
        """Return the masks of frames that wait for the next keyframe (`two_sided`), made from the previous
        one alone."""
        return [mask for stream in self._all() for mask in stream.flush()]

    def drop_waiting(self) -> None:
        """Discard frames that wait for the next keyframe (`two_sided`)."""
        for stream in self._all():
            stream.drop_waiting()

    # Control

    def prepare(self) -> None:
        """Compile and warm up for images of the model's own size, so that the first frame does not wait. Call
        it before the first frame."""
        self._networks.prepare(self._shared.model_size, self.config.alignment is Alignment.FLOW)

    def request_keyframe(self) -> None:
        """Make the next frame of every camera a keyframe."""
        for stream in self._all():
            stream.request_keyframe()

    def reconfigure(self, scheduler: SchedulerConfig) -> None:
        """Set keyframe bounds and thresholds, effective from the next frame."""
        with self._lock:
            self._config = _in_use(replace(self._config, scheduler=scheduler), self.per_frame)
            self._encoder.reconfigure(self._config.scheduler)

    def end_encodes(self) -> None:
        """Stop encoding keyframes: the running deep path ends after its slice, and a frame that waits for one
        continues without it."""
        self._encoder.stop()

    def stop(self) -> None:
        """Stop all threads. No frame may be in progress or follow. Waits for a network that is being
        compiled."""
        self._encoder.stop()
        stop_backend(self._backend)
        self._networks.stop()
        for stream in self._all():
            stream.drop_waiting()
            stream.release()

    # Reporting

    @property
    def config(self) -> PipelineConfig:
        with self._lock:
            return self._config

    @property
    def backend(self) -> Backend:
        return self._backend

    @property
    def per_frame(self) -> bool:
        """True if every frame runs the whole network; keyframe settings then have no effect."""
        return self._backend.per_frame

    @property
    def masks_wait(self) -> bool:
        """True if the mode makes masks wait for the next keyframe."""
        return self._mode.masks_wait

    def telemetry(self, camera: str) -> CameraTelemetry:
        with self._lock:
            return self._stream(camera).telemetry

    def report(self, camera: str, error: Exception) -> None:
        """Count and report an error of a camera."""
        self.telemetry(camera).failed(error)
        try:
            self._on_error(camera, error)
        except Exception:  # the calling thread serves all cameras and must survive
            _log.exception("the error callback raised an exception")

    def status(self) -> list[CameraStatus]:
        running = self._encoder.running()
        encoding_s = (time.monotonic_ns() - running.started_ns) / NS_PER_S if running else 0.0
        return [stream.telemetry.status(encoding_s) for stream in self._all()]

    def backend_status(self) -> dict[str, str]:
        """Return the backend's status, see `backends.base.status_of`."""
        return status_of(self._backend)

    def _stream(self, camera: str) -> CameraStream:
        if camera not in self._streams:
            self._streams[camera] = CameraStream(camera, self._config, self._mode(), self._shared)
        return self._streams[camera]

    def _all(self) -> list[CameraStream]:
        with self._lock:
            return list(self._streams.values())


def _in_use(config: PipelineConfig, per_frame: bool) -> PipelineConfig:
    """Return the configuration with the AKS score and threshold in use. With a per-frame network every frame
    is a keyframe and its mask comes from its own deep path."""
    if per_frame:
        config = replace(
            config,
            mode=Mode.SYNC,
            alignment=Alignment.NONE,
            scheduler=replace(
                config.scheduler,
                min_interval=1,
                max_interval=1,
                threshold_rule=ThresholdRule.FIXED,
                keyframe_budget_hz=0.0,
                aks_score=AksScore.AUTO,
            ),
        )
    return replace(config, scheduler=config.scheduler.resolved(config.alignment))
