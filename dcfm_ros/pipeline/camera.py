# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the segmenter keeps of one camera: its scheduler, its current common feature, its counters."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from dcfm_ros.pipeline.encoder import Encoded, KeyframeRequest
from dcfm_ros.pipeline.frames import CommonFeature, Frame, Reason
from dcfm_ros.model.geometry import input_size
from dcfm_ros.pipeline.latency import DurationWindow, RateWindow
from dcfm_ros.pipeline.scheduler import Decision, KeyframeScheduler
from dcfm_ros.pipeline.settings import PipelineConfig, SchedulerConfig


@dataclass(frozen=True)
class CameraStatus:
    """A snapshot for diagnostics. Rates in Hz over the last 5 s, durations in ms over the last 300."""

    camera: str
    size: tuple[int, int] | None     # (height, width) of the newest image
    received: int
    masks: int
    dropped: int
    refused: dict[str, int]          # bad input, by kind
    failures: int                    # frames that raised an error
    keyframes: int
    encode_failures: int
    overdue: int                     # frames beyond MaxK
    over_budget: int                 # frames whose keyframe the budget held back
    resets: int
    input_hz: float
    mask_hz: float
    keyframe_hz: float
    latency_p50_ms: float
    latency_p99_ms: float
    encode_p50_ms: float
    convert_p50_ms: float            # from message to image
    publish_p50_ms: float            # of a mask and all else that is made of it
    queue_p50_ms: float              # of keyframes, waiting for the encoder
    threshold: float                 # AKS score from which a frame now becomes a keyframe
    feature_age_frames: int
    has_feature: bool
    last_error: str
    silent_s: float                  # since the last image arrived; -1 before the first


@dataclass
class CameraState:
    """One lock guards the scheduler and the common feature: the encoder's thread answers into them."""

    name: str
    config: PipelineConfig
    model_size: tuple[int, int]
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self):
        self.scheduler = KeyframeScheduler(self.config.scheduler)
        self.camera_size: tuple[int, int] | None = None
        self.network_size: tuple[int, int] = (0, 0)
        self.common: CommonFeature | None = None
        self.epoch = 0
        self.index = -1                    # of the newest processed frame
        self.last_stamp_ns = 0
        self.last_keyframe_index: int | None = None
        self.counts: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.dropped_since_mask = 0
        self.last_error = ""
        self.arrivals, self.masks_sent, self.keyframes_done = RateWindow(), RateWindow(), RateWindow()
        self.latency, self.encode, self.queue = DurationWindow(), DurationWindow(), DurationWindow()
        self.convert, self.publish = DurationWindow(), DurationWindow()  # from message to image, and of results to messages
        self.relief = 1.0                  # what the threshold was last multiplied by
        self.last_arrival_ns = 0

    def arrived(self, now_ns: int) -> None:
        """An image has come in; now_ns is time.monotonic_ns()."""
        self.counts["received"] += 1
        self.last_arrival_ns = now_ns
        self.arrivals.add(now_ns)

    def dropped(self) -> None:
        """An image was replaced by a newer one before its turn came."""
        with self.lock:
            self.counts["dropped"] += 1
            self.dropped_since_mask += 1

    def take_dropped(self) -> int:
        """How many were dropped since the last call."""
        with self.lock:
            dropped, self.dropped_since_mask = self.dropped_since_mask, 0
        return dropped

    def failed(self, error: Exception, kind: str | None) -> None:
        """An image brought no mask: refused for its `kind`, or, with None, an error on the way."""
        if kind is None:
            self.counts["failures"] += 1
        else:
            self.refused[kind] += 1
        self.last_error = str(error) or type(error).__name__

    def needs_reset(self, frame: Frame) -> bool:
        """Does this frame not continue the sequence? Another size, time running back, or a long silence."""
        if self.camera_size is None:
            return False
        gap_ns = frame.stamp_ns - self.last_stamp_ns
        return frame.image.shape[:2] != self.camera_size or gap_ns < 0 or gap_ns > self.config.silence_s * 1e9

    def reset(self, reason: Reason) -> None:
        """Begin a new sequence: results still under way belong to the old epoch and are discarded."""
        with self.lock:
            self.epoch += 1
            self.common = None
            self.last_keyframe_index = None
            self.scheduler.restart(reason)
        self.counts["resets"] += 1

    def adopt(self, frame: Frame) -> int:
        """Take the frame as the next of the sequence; returns its index."""
        if frame.image.shape[:2] != self.camera_size:
            self.camera_size = frame.image.shape[:2]
            self.network_size = input_size(self.camera_size, self.model_size)
        self.last_stamp_ns = frame.stamp_ns
        self.index += 1
        return self.index

    def decide(self, image: np.ndarray, relief: float = 1.0) -> Decision:
        """image: network input of the newest frame; relief: what the threshold is multiplied by."""
        self.relief = relief
        with self.lock:
            decision = self.scheduler.consider(image, self.index, relief)
        self.counts["overdue"] += decision.interval > self.scheduler.config.max_interval
        return decision

    def begun(self, request: KeyframeRequest) -> None:
        """The encoder has taken up a keyframe."""
        with self.lock:
            if request.epoch == self.epoch:
                self.scheduler.begun(request.image, request.index)

    def held_back(self) -> None:
        """A frame is due, and the budget for keyframes is spent."""
        self.counts["over_budget"] += 1

    def request_keyframe(self) -> None:
        with self.lock:
            self.scheduler.force(Reason.REQUESTED)

    def reconfigure(self, scheduler: SchedulerConfig) -> None:
        with self.lock:
            self.scheduler.config = scheduler

    def accept(self, encoded: Encoded) -> int | None:
        """Store a keyframe's common feature; returns the interval in frames, or None if it is stale."""
        request = encoded.request
        with self.lock:
            if request.epoch != self.epoch:
                return None
            interval = 0 if self.last_keyframe_index is None else request.index - self.last_keyframe_index
            self.common = CommonFeature(encoded.feature, request.index, request.frame.stamp_ns)
            self.last_keyframe_index = request.index
            self.scheduler.succeeded(request.image, request.index)
        self.counts["keyframes"] += 1
        self.encode.add(encoded.encode_ms)
        self.queue.add(encoded.queue_ms)
        self.keyframes_done.add(time.monotonic_ns())
        return interval

    def encode_failed(self, index: int, epoch: int, error: Exception) -> None:
        with self.lock:
            if epoch == self.epoch:
                self.scheduler.failed(index)
        self.counts["encode_failures"] += 1
        self.last_error = f"keyframe encoder: {error}"

    def status(self) -> CameraStatus:
        now = time.monotonic_ns()
        common = self.common
        counts = self.counts
        return CameraStatus(
            camera=self.name, size=self.camera_size, received=counts["received"], masks=counts["masks"],
            dropped=counts["dropped"], refused=dict(self.refused), failures=counts["failures"],
            keyframes=counts["keyframes"], encode_failures=counts["encode_failures"], resets=counts["resets"],
            overdue=counts["overdue"], over_budget=counts["over_budget"],
            input_hz=self.arrivals.rate_hz(now), mask_hz=self.masks_sent.rate_hz(now),
            keyframe_hz=self.keyframes_done.rate_hz(now),
            latency_p50_ms=self.latency.percentile(50), latency_p99_ms=self.latency.percentile(99),
            encode_p50_ms=self.encode.percentile(50), convert_p50_ms=self.convert.percentile(50),
            publish_p50_ms=self.publish.percentile(50), queue_p50_ms=self.queue.percentile(50),
            threshold=self.relief * self.scheduler.config.threshold,
            feature_age_frames=0 if common is None else self.index - common.index, has_feature=common is not None,
            last_error=self.last_error,
            silent_s=(now - self.last_arrival_ns) / 1e9 if self.last_arrival_ns else -1.0,
        )
