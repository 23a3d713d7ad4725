# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cameras at their rate before a live segmenter, as in the node but without ROS."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from dcfm_ros.benchmark.plan.cores import busy_s
from dcfm_ros.benchmark.plan.measured import Drive
from dcfm_ros.benchmark.scene import Scene
from dcfm_ros.pipeline.frames import Frame, KeyframeEvent, Segmentation, describe
from dcfm_ros.pipeline.live import LiveSegmenter
from dcfm_ros.pipeline.segmenter import Segmenter
from dcfm_ros.pipeline.settings import SchedulerConfig
from dcfm_ros.stamps import NS_PER_S


class _Mask(NamedTuple):
    """What is kept of a mask: the mask itself would be memory that the node does not need."""

    camera: str
    latency_ms: float
    age_s: float
    age_frames: int


class CameraDrive:
    """Offers images of all cameras at the same moments, which is the worst case: the last one waits for the
    masks of the others. Frames go on from one `run` to the next.

    make_segmenter: called with the callbacks on_keyframe and on_error
    """

    def __init__(
        self,
        make_segmenter: Callable[..., Segmenter],
        scene: Scene,
        cameras: int,
        rate_hz: float,
        waiting: int,
    ):
        self._rate_hz = rate_hz
        self._frames = {
            f"camera{number + 1}": _shifted(scene, number * len(scene.images) // cameras)
            for number in range(cameras)
        }
        self._ticks = 0
        self._lock = threading.Lock()  # guards what follows, which the mask thread adds to
        self._masks: list[_Mask] = []
        self._encode_ms: list[float] = []
        self._error: Exception | None = None
        self.segmenter = make_segmenter(on_keyframe=self._on_keyframe, on_error=self._on_error)
        self._live = LiveSegmenter(self.segmenter, self._on_mask, waiting)

    def warm_up(self, scheduler: SchedulerConfig, on_tick: Callable[[float], None]) -> None:
        """Until each camera has had a mask and some keyframes are done: everything is compiled then. Raises
        the error of a frame."""
        self.segmenter.reconfigure(scheduler)
        self._forget()
        due = started = time.perf_counter()
        while True:
            due = self._tick(due)
            on_tick(time.perf_counter() - started)
            with self._lock:
                has_masks = {mask.camera for mask in self._masks} == self._frames.keys()
                if has_masks and (len(self._encode_ms) >= 2 or self.segmenter.per_frame):
                    return
                if self._error is not None:
                    raise RuntimeError(f"no mask: {describe(self._error)}") from self._error

    def run(
        self,
        scheduler: SchedulerConfig,
        seconds: float,
        settle_s: float,
        on_tick: Callable[[float], None] = lambda elapsed: None,
    ) -> Drive:
        """Drive for some seconds, after `settle_s` that do not count. on_tick: called with each frame, with
        the seconds since the last call"""
        self.segmenter.reconfigure(scheduler)
        due = told = time.perf_counter()
        ends = due + settle_s
        while time.perf_counter() < ends:
            due = self._tick(due)
            on_tick(time.perf_counter() - told)
            told = time.perf_counter()
        self._forget()
        dropped, images = self._dropped(), 0
        started, cpu_s, all_s = time.perf_counter(), time.process_time(), busy_s()
        while time.perf_counter() - started < seconds:
            due = self._tick(due)
            images += len(self._frames)
            on_tick(time.perf_counter() - told)
            told = time.perf_counter()
        wall_s, used_s = time.perf_counter() - started, time.process_time() - cpu_s
        others_s = max(0.0, busy_s() - all_s - used_s)
        with self._lock:
            if self._error is not None:
                raise RuntimeError(f"a frame failed: {describe(self._error)}") from self._error
            masks, encode_ms = self._masks, self._encode_ms
            return Drive(
                wall_s,
                used_s,
                others_s,
                images,
                self._dropped() - dropped,
                tuple(mask.latency_ms for mask in masks),
                tuple(mask.age_s for mask in masks),
                tuple(mask.age_frames for mask in masks),
                tuple(encode_ms),
            )

    def stop(self) -> None:
        self._live.stop()
        self.segmenter.stop()

    def _tick(self, due: float) -> float:
        """Offer an image of each camera when it is due; returns when the next is. After a halt of a whole
        period images do not come all at once."""
        if (early := due - time.perf_counter()) > 0:
            time.sleep(early)
        for camera, frames in self._frames.items():
            self._live.offer(camera, self._loader(next(frames), camera, self._ticks))
        self._ticks += 1
        return max(due, time.perf_counter() - 1.0 / self._rate_hz) + 1.0 / self._rate_hz

    def _loader(self, frame: Frame, camera: str, tick: int) -> Callable[[int], Frame]:
        stamp_ns = round(tick * NS_PER_S / self._rate_hz)
        return lambda received_ns: Frame(camera, stamp_ns, frame.image, received_ns=received_ns)

    def _dropped(self) -> int:
        return sum(status.dropped for status in self.segmenter.status())

    def _forget(self) -> None:
        with self._lock:
            self._masks, self._encode_ms = [], []

    def _on_mask(self, mask: Segmentation) -> None:
        with self._lock:
            self._masks.append(
                _Mask(mask.frame.camera, mask.latency_ms, mask.feature_age_s, mask.feature_age_frames)
            )

    def _on_keyframe(self, event: KeyframeEvent) -> None:
        with self._lock:
            self._encode_ms.append(event.encode_ms)

    def _on_error(self, camera: str, error: Exception) -> None:
        with self._lock:
            self._error = self._error or error


def _shifted(scene: Scene, first: int) -> Iterator[Frame]:
    frames = scene.frames()
    for _ in range(first):
        next(frames)
    return frames
