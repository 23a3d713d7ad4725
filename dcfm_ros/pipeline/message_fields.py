# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The fields of `MaskInfo` and `KeyframeEvent`: where their values come from, and how they are read.

`msg/` defines them. Durations are seconds in messages, milliseconds elsewhere. Messages are filled and read
by the names of their fields, whichever library created them, so recordings need no ROS.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from dcfm_ros.pipeline.frames import KeyframeEvent, Segmentation


@dataclass(frozen=True)
class MessageField:
    """A field. name: in reports and recordings of a live run, empty where these leave it out."""

    message: str  # name in the message
    source: str  # attribute of Segmentation or KeyframeEvent
    name: str
    scale: float | None = None  # the message has the source's value over this

    def of(self, source: Segmentation | KeyframeEvent) -> Any:
        value = attrgetter(self.source)(source)
        return value if self.scale is None else value / self.scale

    def read(self, message: Any) -> Any:
        value = getattr(message, self.message)
        return value if self.scale is None else self.scale * value


def _same(name: str, source: str = "") -> MessageField:
    return MessageField(name, source or name, name)


def _duration(name: str) -> MessageField:
    return MessageField(f"{name}_s", f"{name}_ms", f"{name}_ms", 1e3)


_CAMERA = MessageField("camera", "frame.camera", "")
# But for the header and feature_stamp, whose types are the library's, and the publisher's sequence.
MASK_INFO = (
    _CAMERA,
    _same("is_keyframe"),
    _same("mode", "mode.value"),
    _same("feature_age_frames"),
    _same("feature_age_s"),
    _same("alignment", "alignment.value"),
    _same("motion_px"),
    _same("score"),
    _same("dropped_since_last", "dropped"),
    *map(_duration, ("preprocess", "motion", "shallow", "postprocess", "latency")),
)
# But for the header.
KEYFRAME = (
    _CAMERA,
    _same("reason", "reason.value"),
    _same("score"),
    _same("interval_frames"),
    *map(_duration, ("queue", "encode")),
)
MASK_DURATIONS = tuple(field.name for field in MASK_INFO if field.scale)


def mask_info_fields(result: Segmentation) -> dict[str, Any]:
    """Return the values of the fields in MASK_INFO for a MaskInfo message."""
    return {field.message: field.of(result) for field in MASK_INFO}


def keyframe_fields(event: KeyframeEvent) -> dict[str, Any]:
    """Return the values of the fields in KEYFRAME for a KeyframeEvent message."""
    return {field.message: field.of(event) for field in KEYFRAME}


def read_mask_info(message: Any) -> dict[str, Any]:
    """Read a MaskInfo message; names are those in reports and recordings of a live run."""
    return {field.name: field.read(message) for field in MASK_INFO if field.name}


def read_keyframe(message: Any) -> dict[str, Any]:
    """Read a KeyframeEvent message; names are those in reports and recordings of a live run."""
    return {field.name: field.read(message) for field in KEYFRAME if field.name}
