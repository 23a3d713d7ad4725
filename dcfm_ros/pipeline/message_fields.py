# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The fields of `MaskInfo` and `KeyframeEvent`: durations are seconds in messages, milliseconds elsewhere.

Messages are filled and read by the names of their fields, whichever library has made them, so recordings need
no ROS.
"""

from __future__ import annotations

from typing import Any

from dcfm_ros.pipeline.frames import KeyframeEvent, Segmentation

_MASK_TIMES = {
    "preprocess_s": "preprocess_ms",
    "motion_s": "motion_ms",
    "shallow_s": "shallow_ms",
    "postprocess_s": "postprocess_ms",
    "latency_s": "latency_ms",
}
_KEYFRAME_TIMES = {"queue_s": "queue_ms", "encode_s": "encode_ms"}
_MASK_FIELDS = (
    "is_keyframe",
    "mode",
    "feature_age_frames",
    "feature_age_s",
    "alignment",
    "motion_px",
    "score",
    "dropped_since_last",
)
_KEYFRAME_FIELDS = ("reason", "score", "interval_frames")


def mask_info_fields(result: Segmentation) -> dict[str, Any]:
    """Of a MaskInfo, but for the header and feature_stamp, whose types are the library's, and the publisher's
    sequence."""
    return {
        "camera": result.frame.camera,
        "is_keyframe": result.is_keyframe,
        "mode": result.mode.value,
        "feature_age_frames": result.feature_age_frames,
        "feature_age_s": result.feature_age_s,
        "alignment": result.alignment.value,
        "motion_px": result.motion_px,
        "score": result.score,
        "dropped_since_last": result.dropped,
        **_in_seconds(result, _MASK_TIMES),
    }


def keyframe_fields(event: KeyframeEvent) -> dict[str, Any]:
    """Of a KeyframeEvent, but for the header."""
    return {
        "camera": event.frame.camera,
        "reason": event.reason.value,
        "score": event.score,
        "interval_frames": event.interval_frames,
        **_in_seconds(event, _KEYFRAME_TIMES),
    }


def read_mask_info(message) -> dict[str, Any]:
    """What a MaskInfo tells of its mask, as reports and recordings of a live run name it."""
    return {
        **{name: getattr(message, name) for name in _MASK_FIELDS},
        **_in_milliseconds(message, _MASK_TIMES),
    }


def read_keyframe(message) -> dict[str, Any]:
    """What a KeyframeEvent tells of its keyframe, as reports and recordings of a live run name it."""
    return {
        **{name: getattr(message, name) for name in _KEYFRAME_FIELDS},
        **_in_milliseconds(message, _KEYFRAME_TIMES),
    }


def _in_seconds(source: Segmentation | KeyframeEvent, times: dict[str, str]) -> dict[str, float]:
    return {seconds: getattr(source, milliseconds) / 1e3 for seconds, milliseconds in times.items()}


def _in_milliseconds(message, times: dict[str, str]) -> dict[str, float]:
    return {milliseconds: 1e3 * getattr(message, seconds) for seconds, milliseconds in times.items()}
