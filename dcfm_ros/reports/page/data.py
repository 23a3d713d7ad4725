# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the page shows beside the report: a point for each mask, and moments worth a look."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class TimelinePoint:
    """One mask of a recording. Times in seconds since the recording began."""

    camera: str  # "" for an only camera
    stamp_ns: int
    time_s: float
    score: float  # AKS score
    is_keyframe: bool
    reason: str | None  # of a keyframe
    age_frames: int  # of the common feature
    age_s: float
    latency_ms: float
    flicker: float | None  # share of pixels; None where too few frames are before this one
    miou: float | None  # of this frame alone; None without a label


@dataclass(frozen=True)
class Moment:
    """A frame that is among the worst of its kind."""

    kind: str  # LOWEST_IOU, LARGEST_FLICKER or OLDEST_FEATURE of `moments.py`
    camera: str
    stamp_ns: int
    time_s: float  # since the recording began
    value: float  # mIoU and flicker 0..1, age in seconds
    picture: np.ndarray  # (H, W, 3) uint8 RGB
