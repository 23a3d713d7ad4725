"""What travels through the pipeline."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np


class InputError(ValueError):
    """An image that cannot be used. `kind` is a short stable word for counters; the message names value and remedy."""

    def __init__(self, kind: str, text: str):
        super().__init__(text)
        self.kind = kind


class Mode(str, Enum):
    """When a keyframe's deep result is used."""

    ASYNC = "async"          # for the frames after it, as soon as it is there; no mask waits for it
    SYNC = "sync"            # for itself and the frames after it; its own mask waits
    TWO_SIDED = "two_sided"  # also for the frames before it; these masks wait for the next keyframe


class TurnTaking(str, Enum):
    """How the deep path and the frames share the processor."""

    AUTO = "auto"              # sliced on up to 4 cores, else concurrent; always concurrent on a GPU
    CONCURRENT = "concurrent"  # the deep path has cores, or a stream, of its own
    SLICED = "sliced"          # between two slices of the deep path a waiting frame goes first, with all cores


class ThresholdRule(str, Enum):
    """Which AKS score makes a frame a keyframe."""

    FIXED = "fixed"        # the configured threshold
    DEADLINE = "deadline"  # more or less than that, so that the encoder is at work for the configured share of time


class Reason(str, Enum):
    """Why a frame became a keyframe."""

    FIRST = "first"          # no common feature yet
    DEVIATION = "deviation"  # the picture has changed (AKS threshold, or a hard cut)
    INTERVAL = "interval"    # MaxK frames since the last one
    REQUESTED = "requested"  # somebody asked for it
    RESET = "reset"          # resolution changed, time jumped back, or the camera was silent


@dataclass(frozen=True)
class Frame:
    """One camera image. `header` is the sender's own and comes back untouched with the result."""

    camera: str
    stamp_ns: int
    image: np.ndarray            # (H, W, 3) uint8
    is_bgr: bool = False         # channel order
    received_ns: int = 0         # time.monotonic_ns() of its arrival
    header: Any = None

    def rgb(self) -> np.ndarray:
        """The image in RGB order; a view where it is so already."""
        return self.image[..., ::-1] if self.is_bgr else self.image


@dataclass(frozen=True)
class CommonFeature:
    """The deep path's result for a keyframe, as a backend keeps it."""

    feature: Any
    index: int                   # of the keyframe among the camera's processed frames
    stamp_ns: int


@dataclass(frozen=True)
class Segmentation:
    """The mask of one frame and how it was made."""

    frame: Frame
    mask: np.ndarray             # (H, W) uint8 class ids at camera size
    confidence: np.ndarray | None  # (H, W) uint8, softmax of the winning class x 255; None if not asked for
    index: int                   # of the frame among the camera's processed frames
    is_keyframe: bool
    mode: Mode
    feature_stamp_ns: int        # of the (older) common feature used
    feature_age_frames: int
    feature_age_s: float
    score: float                 # AKS deviation from the last keyframe that the encoder has taken up
    dropped: int                 # frames of this camera dropped since its last mask
    preprocess_ms: float
    shallow_ms: float            # shallow path; on a GPU only its launch
    postprocess_ms: float        # fusion, head and upsample-and-argmax; on a GPU all that was launched before, too
    latency_ms: float = 0.0      # from arrival to hand-over


@dataclass(frozen=True)
class KeyframeEvent:
    """One keyframe whose common feature is ready."""

    frame: Frame
    index: int
    reason: Reason
    score: float
    interval_frames: int         # since the keyframe before, 0 for the first
    queue_ms: float              # waiting for the encoder
    encode_ms: float


@dataclass(frozen=True)
class SchedulerConfig:
    """Adaptive keyframe scheduling. Scores are mean absolute differences of normalised input values."""

    min_interval: int = 2        # MinK, frames
    max_interval: int = 10       # MaxK, frames
    threshold: float = 0.32      # a frame that differs so much from the last keyframe becomes one
    cut_threshold: float = 0.60  # one that differs so much from the frame before it does so at once
    threshold_rule: ThresholdRule = ThresholdRule.FIXED
    encoder_share: float = 0.8   # of time, for which the encoder is to be at work with threshold_rule deadline
    keyframe_budget_hz: float = 0.0  # keyframes per second of all cameras together, at most; 0: no bound

    def __post_init__(self):
        object.__setattr__(self, "threshold_rule", _choice(ThresholdRule, "threshold_rule", self.threshold_rule))
        if not 1 <= self.min_interval <= 1000:
            raise ValueError(f"min_interval {self.min_interval}: use 1 to 1000 frames")
        if not self.min_interval <= self.max_interval <= 1000:
            raise ValueError(f"max_interval {self.max_interval}: use min_interval ({self.min_interval}) to 1000 frames")
        for name in ("threshold", "cut_threshold"):
            if not 0.0 < getattr(self, name) <= 10.0:
                raise ValueError(f"{name} {getattr(self, name)}: use a value above 0 and up to 10")
        if not 0.05 <= self.encoder_share <= 1.0:
            raise ValueError(f"encoder_share {self.encoder_share}: use 0.05 to 1")
        if self.keyframe_budget_hz != 0.0 and not 0.01 <= self.keyframe_budget_hz <= 1000.0:
            raise ValueError(f"keyframe_budget_hz {self.keyframe_budget_hz}: use 0.01 to 1000, or 0 for no bound")


@dataclass(frozen=True)
class PipelineConfig:
    """Settings of a segmenter; defaults are here and nowhere else."""

    mode: Mode = Mode.ASYNC
    scheduler: SchedulerConfig = field(default_factory=SchedulerConfig)
    silence_s: float = 2.0       # a camera silent for longer starts anew
    waiting_images: int = 3      # of each camera; beyond these the oldest is dropped
    turns: TurnTaking = TurnTaking.AUTO

    def __post_init__(self):
        for name, kind in (("mode", Mode), ("turns", TurnTaking)):
            object.__setattr__(self, name, _choice(kind, name, getattr(self, name)))
        if self.scheduler.threshold_rule is ThresholdRule.DEADLINE and self.mode is not Mode.ASYNC:
            raise ValueError(f"threshold_rule deadline in mode {self.mode.value}: keyframes there do not depend on times; "
                             "use mode async, or threshold_rule fixed")
        if not 1 <= self.waiting_images <= 100:
            raise ValueError(f"waiting_images {self.waiting_images}: use 1 to 100")
        if not 0.1 <= self.silence_s <= 3600:
            raise ValueError(f"silence_s {self.silence_s}: use 0.1 to 3600 seconds")


def _choice(kind: type[Enum], name: str, value: Any) -> Enum:
    try:
        return kind(value)
    except ValueError:
        raise ValueError(f"{name} {value!r}: use one of {', '.join(choice.value for choice in kind)}") from None
