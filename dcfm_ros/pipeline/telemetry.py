# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What becomes of one camera's images: counters, rates and durations, for diagnostics and reports."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from dcfm_ros.pipeline.frames import EncodeError, InputError, PublishError, describe
from dcfm_ros.pipeline.latency import DurationWindow, RateWindow

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
_ERROR_COUNTERS = {EncodeError: "encode_failures", PublishError: "publish_failures"}


@dataclass(frozen=True)
class CameraStatus:
    """A snapshot for diagnostics. Rates in Hz over the last 5 s, durations in ms over the last 300.

    Every image received is in progress, or one of: masks, dropped, unheard, over_rate, discarded,
    without_feature, refused, failures.
    """

    camera: str
    size: tuple[int, int] | None  # (height, width) of the newest image
    received: int
    masks: int
    dropped: int  # pushed out by newer images before their turn came
    unheard: int  # not wanted, as nobody subscribed to anything
    over_rate: int  # not wanted, as there are more than max_rate
    discarded: int  # not yet masks when the masks' thread was stopped
    without_feature: int  # frames for which there was no common feature
    unaligned: int  # masks of an older common feature that was not moved, since the motion is not known
    refused: dict[str, int]  # bad input, by kind
    failures: int  # frames that raised an error
    publish_failures: int  # masks and keyframe events whose receiver raised an error
    keyframes: int
    encode_failures: int
    slow_encodes: int  # whose deep path did not return for keyframe.STALLED_S
    overdue: int  # frames beyond MaxK
    over_budget: int  # frames whose keyframe the budget held back
    resets: int
    input_hz: float
    mask_hz: float
    keyframe_hz: float
    latency_p50_ms: float
    latency_p99_ms: float
    motion_p50_ms: float  # estimating the motion from frame to frame
    encode_p50_ms: float
    convert_p50_ms: float  # from message to image
    publish_p50_ms: float  # of a mask and all else that is made of it
    queue_p50_ms: float  # of keyframes, waiting for the encoder
    threshold: float  # AKS score from which a frame now becomes a keyframe
    feature_age_frames: int
    has_feature: bool
    last_error: str
    stamp_stands_s: float  # for which the images' stamps have stood still; 0: they go on
    silent_s: float  # since the last image arrived; -1 before the first
    encoding_s: float  # for which the deep path has been at a keyframe, of whichever camera; 0: it is not


class CameraTelemetry:
    """Any thread may call anything."""

    def __init__(self, camera: str, threshold: float):
        """threshold: of AKS, as configured."""
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
        """what: a counter of CameraStatus."""
        with self._lock:
            self._counts[what] += number

    def note(self, **newest: Any) -> None:
        """Newest values of size, threshold, feature_age_frames, has_feature, stamp_stands_s."""
        with self._lock:
            self._newest |= newest

    def arrived(self, now_ns: int) -> None:
        """An image has come in; now_ns is time.monotonic_ns()."""
        with self._lock:
            self._counts["received"] += 1
            self._last_arrival_ns = now_ns
        self._arrivals.add(now_ns)

    def skipped(self, reason: str) -> None:
        """An image has come of which no mask is wanted. reason: unheard or over_rate."""
        self.arrived(time.monotonic_ns())
        self.count(reason)

    def dropped(self) -> None:
        """An image was replaced by a newer one before its turn came."""
        with self._lock:
            self._counts["dropped"] += 1
            self._dropped_since_mask += 1

    def take_dropped(self) -> int:
        """How many were dropped since the last call."""
        with self._lock:
            dropped, self._dropped_since_mask = self._dropped_since_mask, 0
        return dropped

    def failed(self, error: Exception) -> None:
        """An image that is refused, a keyframe whose deep path failed, or any other error on the way."""
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
        """How often the camera's stream has begun anew."""
        with self._lock:
            return self._counts["resets"]

    def status(self, encoding_s: float = 0.0) -> CameraStatus:
        """encoding_s: as in CameraStatus, which the encoder knows."""
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
            silent_s=(now - last_arrival_ns) / 1e9 if last_arrival_ns else -1.0,
        )
