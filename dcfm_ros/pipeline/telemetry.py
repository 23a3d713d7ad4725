# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Telemetry of one camera: counters, rates and durations, for diagnostics and reports."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from dcfm_ros.pipeline.frames import EncodeError, InputError, PublishError, describe
from dcfm_ros.pipeline.latency import DurationWindow, RateWindow
from dcfm_ros.stamps import NS_PER_S

COUNTERS = (
    "received",
    "masks",
    "dropped",
    "unheard",
    "over_rate",
    "discarded",
    "without_feature",
    "unaligned",
    "failures",
    "publish_failures",
    "keyframes",
    "encode_failures",
    "slow_encodes",
    "overdue",
    "over_budget",
    "resets",
)
# Counters in which images end, unless they are refused. An image in none of them is in progress.
ENDS = ("masks", "dropped", "unheard", "over_rate", "discarded", "without_feature", "failures")
_ERROR_COUNTERS: dict[type[Exception], str] = {
    EncodeError: "encode_failures",
    PublishError: "publish_failures",
}


@dataclass(frozen=True)
class CameraStatus:
    """Snapshot of a camera's telemetry. Rates in Hz over the last 5 s, durations in ms over the last 300.

    Every image received is in progress, or one of: masks, dropped, unheard, over_rate, discarded,
    without_feature, refused, failures.
    """

    camera: str
    size: tuple[int, int] | None  # (height, width) of the newest image
    received: int
    masks: int
    dropped: int  # displaced by newer images before they were processed
    unheard: int  # skipped, as nobody subscribed to any output
    over_rate: int  # skipped, as they exceed max_rate
    discarded: int  # not yet processed when the mask thread was stopped
    without_feature: int  # frames without a common feature, so without a mask
    unaligned: int  # masks of an older common feature that was not aligned, since the motion is unknown
    refused: dict[str, int]  # invalid input, by kind
    failures: int  # frames that raised an error
    publish_failures: int  # masks and keyframe events whose callback raised an error
    keyframes: int
    encode_failures: int
    slow_encodes: int  # keyframes whose deep path took longer than keyframe.STALLED_S
    overdue: int  # frames beyond MaxK
    over_budget: int  # frames whose keyframe was delayed or refused by the budget
    resets: int
    input_hz: float
    mask_hz: float
    keyframe_hz: float
    latency_p50_ms: float
    latency_p99_ms: float
    motion_p50_ms: float  # estimating the motion from frame to frame
    encode_p50_ms: float
    convert_p50_ms: float  # from message to image
    publish_p50_ms: float  # publishing a mask and all outputs derived from it
    queue_p50_ms: float  # keyframes waiting for the encoder
    threshold: float  # AKS score from which a frame currently becomes a keyframe
    feature_age_frames: int
    has_feature: bool
    last_error: str
    stamp_stands_s: float  # time since the images' stamps last changed; 0 while they advance
    silent_s: float  # time since the last image arrived; -1 before the first
    encoding_s: float  # running time of the current deep path, of any camera; 0 while none runs


class CameraTelemetry:
    """Thread-safe collector of one camera's telemetry."""

    def __init__(self, camera: str, threshold: float):
        """threshold: the configured AKS threshold"""
        self.camera = camera
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._dropped_since_mask = 0
        self._last_arrival_ns = 0
        self._newest: dict[str, Any] = {
            "size": None,
            "threshold": threshold,
            "feature_age_frames": 0,
            "has_feature": False,
            "last_error": "",
            "stamp_stands_s": 0.0,
        }
        self._arrivals, self._masks, self._keyframes = RateWindow(), RateWindow(), RateWindow()
        self._latency, self._encode, self._queue, self._motion = (DurationWindow() for _ in range(4))
        self.convert, self.publish = DurationWindow(), DurationWindow()

    def count(self, what: str, number: int = 1) -> None:
        """Increase a counter of CameraStatus."""
        with self._lock:
            self._counts[what] += number

    def note(self, **newest: Any) -> None:
        """Set the newest values of size, threshold, feature_age_frames, has_feature or stamp_stands_s."""
        with self._lock:
            self._newest |= newest

    def arrived(self, now_ns: int) -> None:
        """Count an image that has arrived. now_ns: time.monotonic_ns()"""
        with self._lock:
            self._counts["received"] += 1
            self._last_arrival_ns = now_ns
        self._arrivals.add(now_ns)

    def skipped(self, reason: str) -> None:
        """Count an image that has arrived and is not processed. reason: unheard or over_rate"""
        self.arrived(time.monotonic_ns())
        self.count(reason)

    def dropped(self) -> None:
        """Count an image that a newer one displaced before it was processed."""
        with self._lock:
            self._counts["dropped"] += 1
            self._dropped_since_mask += 1

    def take_dropped(self) -> int:
        """Return how many images were dropped since the last call."""
        with self._lock:
            dropped, self._dropped_since_mask = self._dropped_since_mask, 0
        return dropped

    def failed(self, error: Exception) -> None:
        """Count an error: a refused image, a failed deep path, or any other error of the pipeline."""
        with self._lock:
            if isinstance(error, InputError):
                self._refused[error.kind] += 1
            else:
                self._counts[_ERROR_COUNTERS.get(type(error), "failures")] += 1
            self._newest["last_error"] = describe(error)

    def masked(self, now_ns: int, latency_ms: float, motion_ms: float = 0.0) -> None:
        self.count("masks")
        self._motion.add(motion_ms)
        self._masks.add(now_ns)
        self._latency.add(latency_ms)

    def encoded(self, queue_ms: float, encode_ms: float) -> None:
        self.count("keyframes")
        self._queue.add(queue_ms)
        self._encode.add(encode_ms)
        self._keyframes.add(time.monotonic_ns())

    @property
    def resets(self) -> int:
        """Number of times the camera's stream has started a new sequence."""
        with self._lock:
            return self._counts["resets"]

    def status(self, encoding_s: float = 0.0) -> CameraStatus:
        """Return a snapshot. encoding_s: see CameraStatus; known to the encoder only."""
        now = time.monotonic_ns()
        with self._lock:
            values = (
                {name: self._counts[name] for name in COUNTERS}
                | self._newest
                | {"refused": dict(self._refused)}
            )
            last_arrival_ns = self._last_arrival_ns
        return CameraStatus(
            camera=self.camera,
            encoding_s=encoding_s,
            **values,
            input_hz=self._arrivals.rate_hz(now),
            mask_hz=self._masks.rate_hz(now),
            keyframe_hz=self._keyframes.rate_hz(now),
            latency_p50_ms=self._latency.percentile(50),
            latency_p99_ms=self._latency.percentile(99),
            motion_p50_ms=self._motion.percentile(50),
            encode_p50_ms=self._encode.percentile(50),
            queue_p50_ms=self._queue.percentile(50),
            convert_p50_ms=self.convert.percentile(50),
            publish_p50_ms=self.publish.percentile(50),
            silent_s=(now - last_arrival_ns) / NS_PER_S if last_arrival_ns else -1.0,
        )
