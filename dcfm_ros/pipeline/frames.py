# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Data types of the pipeline: frames, masks, keyframe events and errors."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from dcfm_ros.motion.track import MotionKind
from dcfm_ros.pipeline.settings import Mode


def describe(error: BaseException) -> str:
    """Return an error's message, or its type where it has none."""
    return str(error) or type(error).__name__


class InputError(ValueError):
    """An image that cannot be used. `kind` is a short stable word for counters; the message names the value
    and the remedy."""

    def __init__(self, kind: str, text: str):
        super().__init__(text)
        self.kind = kind


class CausedError(RuntimeError):
    """An operation that failed because of another error."""

    def __init__(self, what: str, cause: BaseException):
        super().__init__(f"{what}: {describe(cause)}")
        self.__cause__ = cause


class EncodeError(CausedError):
    """A keyframe whose deep path failed; masks continue with the older common feature."""


class PublishError(CausedError):
    """A mask or keyframe event whose callback raised an error."""


class Reason(str, Enum):
    """The reason why a frame became a keyframe."""

    FIRST = "first"  # no common feature yet
    DEVIATION = "deviation"  # the picture has changed (AKS threshold, or a hard cut)
    INTERVAL = "interval"  # MaxK frames since the last one
    REQUESTED = "requested"  # explicit request
    RESET = "reset"  # resolution changed, time jumped back, or the camera was silent


@dataclass(frozen=True)
class Frame:
    """One camera image. `context` is any object of the caller's and is returned untouched with the result."""

    camera: str
    stamp_ns: int
    image: np.ndarray  # (H, W, 3) uint8
    is_bgr: bool = False  # channel order
    received_ns: int = 0  # time.monotonic_ns() of its arrival
    arrival_ns: int = 0  # arrival on a clock of the sequence, such as log time; used where stamps stand still
    context: Any = None

    def rgb(self) -> np.ndarray:
        """Return the image in RGB order, as a view."""
        return self.image[..., ::-1] if self.is_bgr else self.image


@dataclass(frozen=True)
class Wanted:
    """Outputs requested in addition to the mask."""

    confidence: bool = False
    probabilities: type | None = None  # np.uint8 or np.float32


@dataclass(frozen=True)
class Segmentation:
    """The mask of one frame and how it was made."""

    frame: Frame
    mask: np.ndarray  # (H, W) uint8 class ids, of the class map if there is one, at the configured mask size
    confidence: np.ndarray | None  # (H, W) uint8, softmax of the winning class x 255; None if not requested
    # (H, W, classes), softmax as float32 or x 255 as uint8; None if not requested
    probabilities: np.ndarray | None
    index: int  # of the frame among the camera's processed frames
    is_keyframe: bool
    mode: Mode
    feature_stamp_ns: int  # of the (older) common feature used
    feature_age_frames: int
    feature_age_s: float
    alignment: MotionKind  # how the motion since the (older) common feature was found
    motion_px: float  # mean length of that motion, in pixels of the image
    score: float  # AKS score: deviation from the last started keyframe
    dropped: int  # frames of this camera dropped since its last mask
    preprocess_ms: float
    motion_ms: float  # estimating the motion since the previous frame
    shallow_ms: float  # shallow path; on a GPU only its launch
    postprocess_ms: float  # fusion, head and upsample-and-argmax; on a GPU also everything launched before
    latency_ms: float = 0.0  # from arrival to the finished mask


@dataclass(frozen=True)
class KeyframeEvent:
    """One keyframe whose common feature is ready."""

    frame: Frame
    index: int
    reason: Reason
    score: float
    interval_frames: int  # since the previous keyframe, 0 for the first
    queue_ms: float  # waiting for the encoder
    encode_ms: float
