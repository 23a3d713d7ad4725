# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What travels through the pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from dcfm_ros.motion.track import Found
from dcfm_ros.pipeline.settings import Mode


def describe(error: BaseException) -> str:
    """An error in words; some have none of their own."""
    return str(error) or type(error).__name__


class InputError(ValueError):
    """An image that cannot be used. `kind` is a short stable word for counters; the message names value and
    remedy."""

    def __init__(self, kind: str, text: str):
        super().__init__(text)
        self.kind = kind


class CausedError(RuntimeError):
    """What failed, and of which error."""

    def __init__(self, what: str, cause: BaseException):
        super().__init__(f"{what}: {describe(cause)}")
        self.__cause__ = cause


class EncodeError(CausedError):
    """A keyframe whose deep path failed: masks go on with the older common feature."""


class PublishError(CausedError):
    """A mask or a keyframe event that is made, but whose receiver raised an error."""


class Reason(str, Enum):
    """Why a frame became a keyframe."""

    FIRST = "first"  # no common feature yet
    DEVIATION = "deviation"  # the picture has changed (AKS threshold, or a hard cut)
    INTERVAL = "interval"  # MaxK frames since the last one
    REQUESTED = "requested"  # somebody asked for it
    RESET = "reset"  # resolution changed, time jumped back, or the camera was silent


@dataclass(frozen=True)
class Frame:
    """One camera image. `header` is the sender's own and comes back untouched with the result."""

    camera: str
    stamp_ns: int
    image: np.ndarray  # (H, W, 3) uint8
    is_bgr: bool = False  # channel order
    received_ns: int = 0  # time.monotonic_ns() of its arrival
    arrival_ns: int = (
        0  # the same on a clock of the sequence, as a recording's: the time where stamps stand still
    )
    header: Any = None

    def rgb(self) -> np.ndarray:
        """The image in RGB order; a view where it is so already."""
        return self.image[..., ::-1] if self.is_bgr else self.image


@dataclass(frozen=True)
class Wanted:
    """What somebody wants beside the mask."""

    confidence: bool = False
    probabilities: type | None = None  # np.uint8 or np.float32


@dataclass(frozen=True)
class Segmentation:
    """The mask of one frame and how it was made."""

    frame: Frame
    mask: np.ndarray  # (H, W) uint8 class ids, of the class map where there is one, at the size asked for
    confidence: np.ndarray | None  # (H, W) uint8, softmax of the winning class x 255; None if not asked for
    probabilities: (
        np.ndarray | None
    )  # (H, W, classes), softmax x 255 as uint8, or as it is in float32; None if not asked for
    index: int  # of the frame among the camera's processed frames
    is_keyframe: bool
    mode: Mode
    feature_stamp_ns: int  # of the (older) common feature used
    feature_age_frames: int
    feature_age_s: float
    alignment: Found  # how the (older) common feature has moved since
    motion_px: float  # mean length of that motion, in pixels of the image
    score: float  # AKS score: deviation from the last keyframe that the encoder has taken up
    dropped: int  # frames of this camera dropped since its last mask
    preprocess_ms: float
    motion_ms: float  # estimating the motion since the frame before
    shallow_ms: float  # shallow path; on a GPU only its launch
    postprocess_ms: float  # fusion, head and upsample-and-argmax; on a GPU all that was launched before, too
    latency_ms: float = 0.0  # from arrival to hand-over


@dataclass(frozen=True)
class KeyframeEvent:
    """One keyframe whose common feature is ready."""

    frame: Frame
    index: int
    reason: Reason
    score: float
    interval_frames: int  # since the keyframe before, 0 for the first
    queue_ms: float  # waiting for the encoder
    encode_ms: float
