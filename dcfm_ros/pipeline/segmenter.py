# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The segmenter: frames in, masks out. What becomes of a frame in between is in `CameraStream.steps`."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from dcfm_ros.model.build import Model
from dcfm_ros.model.class_map import ClassMap, read_class_map
from dcfm_ros.pipeline.backends import make_backend
from dcfm_ros.pipeline.backends.base import Backend, status_of, stop_backend
from dcfm_ros.pipeline.budget import StampClock
from dcfm_ros.pipeline.cpu_gate import make_gate, sharing
from dcfm_ros.pipeline.encoder import InlineEncoder, ThreadedEncoder
from dcfm_ros.pipeline.frames import Frame, KeyframeEvent, Segmentation, Wanted
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
from dcfm_ros.pipeline.stream import CameraStream, Machinery, Steps, run
from dcfm_ros.pipeline.telemetry import CameraStatus, CameraTelemetry

_log = logging.getLogger(__name__)


class Segmenter:
    """Segments the frames of any number of cameras with one network.

    `steps` and what it gives, `process`, `flush`, `collect` and `drop_waiting` are for one thread at a time,
    on which `on_keyframe`, `on_error` and `wanted` are called. Everything else may be called from any thread.
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
        """on_keyframe: takes each keyframe whose common feature is there
        on_error: takes a camera and what went wrong that `process` does not raise: an EncodeError, a
            PublishError, or the error of a frame that had waited (`two_sided`); live, all errors
        wanted: what is wanted beside a camera's next mask
        class_map: of the masks; None: the model's own classes
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
        self._machinery = Machinery(
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
        self.driving = threading.Lock()  # held by whoever drives frames live
        self._lock = threading.Lock()  # for the two that follow
        self._config = config
        self._streams: dict[str, CameraStream] = {}

    @classmethod
    def of(
        cls,
        model: Model,
        backend: str = "auto",
        device: str = "auto",
        config: PipelineConfig = PipelineConfig(),
        precision: str = "auto",
        live: bool = False,
        class_map: str = "",
        **callbacks,
    ) -> Segmenter:
        """The segmenter of a model: `backend`, `device`, `precision` and `live` as for `make_backend`,
        `class_map` as for `read_class_map`, `callbacks` as for this class.

        A per-frame model runs its whole network on each frame, in mode `sync`.
        """
        if model.config.shallow_on != "all":
            raise ValueError(
                f"the model's shallow_on is {model.config.shallow_on!r}: such an ablation can only be "
                "evaluated (dcfm evaluate)"
            )
        mapped = read_class_map(class_map, model.config.classes)
        shared = sharing(config, model.config.architecture == "per_frame")
        runs = make_backend(backend, model, device, precision, shared, live)
        return cls(
            runs, (model.config.input_height, model.config.input_width), config, class_map=mapped, **callbacks
        )

    # Frames

    def process(self, frame: Frame) -> list[Segmentation]:
        """Masks that are ready now: in `async` and `sync` this frame's, in `two_sided` those a keyframe
        completes.

        The list is empty while the camera has no common feature (its first keyframe failed).
        """
        return run(self.steps(frame))

    def steps(self, frame: Frame, on_done: Callable[[], None] = lambda: None) -> Steps:
        """As `process`, step by step, for callers who have other things to do than to wait. A camera's frames
        go one after the other. on_done: called on any thread when `collect` has something to do."""
        with self._lock:
            stream, scheduler = self._stream(frame.camera), self._config.scheduler
        time_ns = stream.clock.time_ns(frame.stamp_ns, frame.arrival_ns)
        self._stamps.advance(frame.camera, time_ns)
        return stream.steps(frame, time_ns, scheduler, on_done)

    def collect(self) -> None:
        """Take note of keyframes that are done; else that happens with their camera's next frame."""
        for stream in self._all():
            stream.collect()

    def flush(self) -> list[Segmentation]:
        """Masks of frames that still wait for a next keyframe (`two_sided`), from the previous one alone."""
        return [mask for stream in self._all() for mask in stream.flush()]

    def drop_waiting(self) -> None:
        """Forget frames that still wait for a next keyframe (`two_sided`)."""
        for stream in self._all():
            stream.drop_waiting()

    # Control

    def prepare(self) -> None:
        """Compile and warm up everything for images of the model's own size, so that the first frame does not
        wait. Before the first frame."""
        self._networks.prepare(self._machinery.model_size, self.config.alignment is Alignment.FLOW)

    def request_keyframe(self) -> None:
        """The next frame of every camera becomes a keyframe."""
        for stream in self._all():
            stream.request_keyframe()

    def reconfigure(self, scheduler: SchedulerConfig) -> None:
        """Other keyframe bounds and thresholds, from the next frame on."""
        with self._lock:
            self._config = _in_use(replace(self._config, scheduler=scheduler), self.per_frame)
            self._encoder.reconfigure(self._config.scheduler)

    def end_encodes(self) -> None:
        """No deep path from now on: the running one ends with its slice, and a frame that waits for one goes
        on without."""
        self._encoder.stop()

    def stop(self) -> None:
        """End all threads; no frame may come any more, or be on its way. A network that is being compiled is
        waited for."""
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
        """Does every frame run the whole network? Keyframe settings then mean nothing."""
        return self._backend.per_frame

    @property
    def masks_wait(self) -> bool:
        """Do masks wait for the next keyframe, on purpose?"""
        return self._mode.masks_wait

    def telemetry(self, camera: str) -> CameraTelemetry:
        with self._lock:
            return self._stream(camera).telemetry

    def report(self, camera: str, error: Exception) -> None:
        """Count and report what went wrong for a camera."""
        self.telemetry(camera).failed(error)
        try:
            self._on_error(camera, error)
        except Exception:  # a thread that ended here would take the masks of all cameras with it
            _log.exception("the report of an error raised an error itself")

    def status(self) -> list[CameraStatus]:
        running = self._encoder.running()
        encoding_s = (time.monotonic_ns() - running.started_ns) / 1e9 if running else 0.0
        return [stream.telemetry.status(encoding_s) for stream in self._all()]

    def backend_status(self) -> dict[str, str]:
        """As `backends.base.status_of`."""
        return status_of(self._backend)

    def _stream(self, camera: str) -> CameraStream:
        if camera not in self._streams:
            self._streams[camera] = CameraStream(camera, self._config, self._mode(), self._machinery)
        return self._streams[camera]

    def _all(self) -> list[CameraStream]:
        with self._lock:
            return list(self._streams.values())


def _in_use(config: PipelineConfig, per_frame: bool) -> PipelineConfig:
    """The same with the AKS score and threshold that are in use. A per-frame network makes every frame a
    keyframe, and its mask of its own deep path."""
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
