# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Settings of the pipeline: their choices, defaults and bounds. Standard library only, so that launch files
and help texts can read them where PyTorch is not installed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from fractions import Fraction
from typing import Any

BACKENDS = ("auto", "torch", "openvino", "tensorrt")
PRECISIONS = ("auto", "f32", "bf16", "f16")
DEVICES = "auto, cpu, cuda or cuda:N"  # N: number of the GPU
MAX_SIDE = 16384  # pixels, of images and masks; keeps a forged size from asking for gigabytes
DEFAULT_MODEL = "street11"  # the built-in model of node, tools and demo


class Mode(str, Enum):
    """When a keyframe's deep result is used."""

    ASYNC = "async"  # for the frames after it, as soon as it is there; no mask waits for it
    SYNC = "sync"  # for itself and the frames after it; its own mask waits
    TWO_SIDED = "two_sided"  # also for the frames before it; these masks wait for the next keyframe


class TurnTaking(str, Enum):
    """How the deep path and the frames share the processor."""

    AUTO = "auto"  # sliced on up to 4 cores, else concurrent; always concurrent on a GPU
    CONCURRENT = "concurrent"  # the deep path has cores, or a stream, of its own
    SLICED = "sliced"  # between two slices of the deep path a waiting frame goes first, with all cores


class Alignment(str, Enum):
    """Do common features move with the scene?"""

    FLOW = "flow"  # by the motion since their keyframe
    NONE = "none"  # no: the published method


class AksScore(str, Enum):
    """What AKS compares with the threshold."""

    AUTO = "auto"  # residual where common features move, else paper
    # what neither motion nor light explains, summed since the last keyframe (pipeline/scheduler.py)
    RESIDUAL = "residual"
    PAPER = "paper"  # difference to the last keyframe


class ThresholdRule(str, Enum):
    """Which AKS score makes a frame a keyframe."""

    FIXED = "fixed"  # the configured threshold
    DEADLINE = (
        "deadline"  # more or less than that, so that the encoder is at work for the configured share of time
    )


THRESHOLDS = {AksScore.RESIDUAL: 0.18, AksScore.PAPER: 0.32}  # by default


@dataclass(frozen=True)
class SchedulerConfig:
    """Adaptive keyframe scheduling. Scores are mean absolute differences of normalised input values."""

    min_interval: int = 2  # MinK, frames
    max_interval: int = 10  # MaxK, frames
    # a frame that differs so much from the last keyframe becomes one; 0: of its score, see THRESHOLDS
    threshold: float = 0.0
    cut_threshold: float = 0.60  # one that differs so much from the frame before it does so at once
    aks_score: AksScore = AksScore.AUTO
    threshold_rule: ThresholdRule = ThresholdRule.FIXED
    encoder_share: float = 0.8  # of time, for which the encoder is to be at work with threshold_rule deadline
    keyframe_budget_hz: float = 0.0  # keyframes per second of all cameras together, at most; 0: no bound

    def __post_init__(self):
        for name, kind in (("threshold_rule", ThresholdRule), ("aks_score", AksScore)):
            object.__setattr__(self, name, _choice(kind, name, getattr(self, name)))
        if not 1 <= self.min_interval <= 1000:
            raise ValueError(f"min_interval {self.min_interval}: use 1 to 1000 frames")
        if not self.min_interval <= self.max_interval <= 1000:
            raise ValueError(
                f"max_interval {self.max_interval}: use min_interval ({self.min_interval}) to 1000 frames"
            )
        if not 0.0 <= self.threshold <= 10.0:
            raise ValueError(
                f"threshold {self.threshold}: use a value above 0 and up to 10, or 0 for the score's own"
            )
        if not 0.0 < self.cut_threshold <= 10.0:
            raise ValueError(f"cut_threshold {self.cut_threshold}: use a value above 0 and up to 10")
        if not 0.05 <= self.encoder_share <= 1.0:
            raise ValueError(f"encoder_share {self.encoder_share}: use 0.05 to 1")
        if self.keyframe_budget_hz != 0.0 and not 0.01 <= self.keyframe_budget_hz <= 1000.0:
            raise ValueError(
                f"keyframe_budget_hz {self.keyframe_budget_hz}: use 0.01 to 1000, or 0 for no bound"
            )

    def resolved(self, alignment: Alignment) -> SchedulerConfig:
        """The same without `auto` and 0, for features that move or do not. Raises ValueError where they do
        not go together."""
        score = self.aks_score
        if score is AksScore.AUTO:
            score = AksScore.RESIDUAL if alignment is Alignment.FLOW else AksScore.PAPER
        if score is AksScore.RESIDUAL and alignment is not Alignment.FLOW:
            raise ValueError(
                f"aks_score residual with alignment {alignment.value}: nothing tells what has moved; use "
                f"paper or auto"
            )
        return replace(self, aks_score=score, threshold=self.threshold or THRESHOLDS[score])


@dataclass(frozen=True)
class MaskSize:
    """The size of masks: WIDTHxHEIGHT in pixels, a factor of the image's up to 4 such as 0.5 or 1/2, or empty
    for the image's own."""

    text: str

    def __post_init__(self):
        try:
            sides = (
                [*map(int, self.text.split("x"))] if "x" in self.text else [float(Fraction(self.text or 1))]
            )
        except (ValueError, ZeroDivisionError, OverflowError):
            sides = []
        is_size = len(sides) == 2 and all(1 <= side <= MAX_SIDE for side in sides)
        if not is_size and not (len(sides) == 1 and 0 < sides[0] <= 4):
            raise ValueError(
                f"mask_size {self.text!r}: use WIDTHxHEIGHT of 1 to {MAX_SIDE} pixels, or a factor of the "
                f"image's "
                "size up to 4 such as 0.5"
            )

    def of(self, image_size: tuple[int, int]) -> tuple[int, int]:
        """Of an image of that size; both are (H, W)."""
        if not self.text:
            return image_size
        if "x" in self.text:
            width, height = self.text.split("x")
            return int(height), int(width)
        return tuple(max(1, min(MAX_SIDE, round(Fraction(self.text) * side))) for side in image_size)


@dataclass(frozen=True)
class PipelineConfig:
    """Settings of a segmenter; defaults are here and nowhere else."""

    mode: Mode = Mode.ASYNC
    scheduler: SchedulerConfig = field(default_factory=SchedulerConfig)
    silence_s: float = 2.0  # a camera silent for longer starts anew
    waiting_images: int = 3  # of each camera; beyond these the oldest is dropped
    turns: TurnTaking = TurnTaking.AUTO
    alignment: Alignment = Alignment.FLOW
    mask_size: str = ""  # of masks and all that has their size: see MaskSize; empty: the image's

    def __post_init__(self):
        MaskSize(self.mask_size)
        for name, kind in (("mode", Mode), ("alignment", Alignment), ("turns", TurnTaking)):
            object.__setattr__(self, name, _choice(kind, name, getattr(self, name)))
        if self.scheduler.threshold_rule is ThresholdRule.DEADLINE and self.mode is not Mode.ASYNC:
            raise ValueError(
                f"threshold_rule deadline in mode {self.mode.value}: keyframes there do not depend on times; "
                "use mode async, or threshold_rule fixed"
            )
        self.scheduler.resolved(self.alignment)  # refuses what does not go together
        if not 1 <= self.waiting_images <= 100:
            raise ValueError(f"waiting_images {self.waiting_images}: use 1 to 100")
        if not 0.1 <= self.silence_s <= 3600:
            raise ValueError(f"silence_s {self.silence_s}: use 0.1 to 3600 seconds")


def _choice(kind: type[Enum], name: str, value: Any) -> Enum:
    try:
        return kind(value)
    except ValueError:
        raise ValueError(
            f"{name} {value!r}: use one of {', '.join(choice.value for choice in kind)}"
        ) from None
