# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Settings of the pipeline: their choices, defaults, descriptions and bounds. Standard library only, so that
launch files and help texts can read them where PyTorch is not installed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from fractions import Fraction

from dcfm_ros.config_folders import ready_class_maps
from dcfm_ros.pipeline.backend_table import BACKENDS, DEVICES, PRECISIONS
from dcfm_ros.setting_fields import check, setting

# Of images and masks: prevent a forged size from allocating gigabytes.
MAX_SIDE = 16384  # pixels
MAX_PIXELS = 2**26  # twice 8K
DEFAULT_MODEL = "street11"  # the built-in model of node, tools and demo


class Mode(str, Enum):
    """The frames for which a keyframe's common feature is used."""

    ASYNC = "async"  # later frames, as soon as it is ready; no mask waits for it
    SYNC = "sync"  # the keyframe itself and later frames; its own mask waits
    TWO_SIDED = "two_sided"  # also earlier frames, whose masks wait for the next keyframe


class TurnTaking(str, Enum):
    """The way in which the deep path and frames share the processor."""

    AUTO = "auto"  # sliced on up to 4 cores, else concurrent; always concurrent on a GPU
    CONCURRENT = "concurrent"  # the deep path has its own cores, or its own stream
    SLICED = "sliced"  # between two slices of the deep path a waiting frame runs first, with all cores


class Alignment(str, Enum):
    """Alignment of common features with the scene."""

    FLOW = "flow"  # by optical flow since their keyframe
    NONE = "none"  # none, which is the published method


class AksScore(str, Enum):
    """The score that AKS compares with the threshold."""

    AUTO = "auto"  # residual if common features are aligned, else paper
    # what neither motion nor illumination explains, summed since the last keyframe (pipeline/scheduler.py)
    RESIDUAL = "residual"
    PAPER = "paper"  # difference to the last keyframe


class ThresholdRule(str, Enum):
    """The rule for the AKS threshold."""

    FIXED = "fixed"  # the configured threshold
    DEADLINE = "deadline"  # adapted so that the encoder is busy for the configured share of time


THRESHOLDS = {AksScore.RESIDUAL: 0.18, AksScore.PAPER: 0.32}  # defaults


@dataclass(frozen=True)
class NetworkSettings:
    """The model and the inference backend that runs it."""

    model: str = setting(
        DEFAULT_MODEL, "built-in model name, or a folder with model.yaml and weights.safetensors"
    )
    backend: str = setting("auto", "inference backend", choices=BACKENDS)
    device: str = setting("auto", f"device of the inference backend: {DEVICES}")
    precision: str = setting(
        "auto",
        "precision of the networks' arithmetic; auto: the processor's native one; int8: of a model that "
        "`dcfm export --precision int8` wrote",
        choices=PRECISIONS,
    )
    class_map: str = setting(
        "",
        "merges, renames, renumbers or ignores classes: a YAML file, or one of "
        f"{', '.join(ready_class_maps())}; empty: the model's classes",
    )


@dataclass(frozen=True)
class SchedulerConfig:
    """Adaptive keyframe scheduling. Scores are mean absolute differences of normalised input values."""

    min_interval: int = setting(
        2, "MinK: minimum keyframe interval in frames", low=1, high=1000, unit="frames"
    )
    max_interval: int = setting(
        10, "MaxK: maximum keyframe interval in frames", low=1, high=1000, unit="frames"
    )
    threshold: float = setting(
        0.0,
        "AKS score from which a frame becomes a keyframe; 0: "
        f"{', '.join(f'{value:g} for {score.value}' for score, value in THRESHOLDS.items())}",
        above=0,
        high=10,
        zero="the score's own",
    )
    cut_threshold: float = setting(
        0.60,
        "difference from the previous frame above which a frame is a hard cut and becomes a keyframe at once",
        above=0,
        high=10,
    )
    aks_score: AksScore = setting(
        AksScore.AUTO,
        "score that AKS compares with the threshold; auto: residual (the difference that neither motion nor "
        "illumination explains) with alignment flow, else paper",
    )
    threshold_rule: ThresholdRule = setting(
        ThresholdRule.FIXED,
        "fixed: the threshold as configured; deadline: scaled by 0.5 to 4, so that the encoder is busy for "
        "encoder_share of the time",
    )
    encoder_share: float = setting(
        0.8, "share of time for which the encoder is busy, with threshold_rule deadline", low=0.05, high=1
    )
    keyframe_budget_hz: float = setting(
        0.0,
        "maximum keyframes per second of all cameras together; 0: no bound",
        low=0.01,
        high=1000,
        zero="no bound",
    )

    def __post_init__(self):
        check(self)
        if self.min_interval > self.max_interval:
            raise ValueError(
                f"max_interval {self.max_interval}: use min_interval ({self.min_interval}) to 1000 frames"
            )

    def resolved(self, alignment: Alignment) -> SchedulerConfig:
        """Return the settings with `auto` and 0 resolved for an alignment. Raises ValueError for an invalid
        combination."""
        score = self.aks_score
        if score is AksScore.AUTO:
            score = AksScore.RESIDUAL if alignment is Alignment.FLOW else AksScore.PAPER
        if score is AksScore.RESIDUAL and alignment is not Alignment.FLOW:
            raise ValueError(
                f"aks_score residual with alignment {alignment.value}: it needs the motion estimate of "
                f"alignment flow; use paper or auto"
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
                "image's size up to 4 such as 0.5"
            )

    def of(self, image_size: tuple[int, int]) -> tuple[int, int]:
        """Return the mask size for an image size; both are (H, W)."""
        if not self.text:
            return image_size
        if "x" in self.text:
            given_width, given_height = self.text.split("x")
            return int(given_height), int(given_width)
        height, width = (max(1, min(MAX_SIDE, round(Fraction(self.text) * side))) for side in image_size)
        return height, width


@dataclass(frozen=True)
class PipelineConfig:
    """Settings of a segmenter, with the only definition of their defaults."""

    mode: Mode = setting(Mode.ASYNC, "frames for which a keyframe's common feature is used (docs/method.md)")
    scheduler: SchedulerConfig = setting(factory=SchedulerConfig)
    silence_s: float = setting(
        2.0,
        "silence of a camera after which a new sequence starts, in seconds of image stamps",
        low=0.1,
        high=3600,
        unit="seconds",
    )
    waiting_images: int = setting(
        3, "maximum number of queued images per camera; beyond that the oldest is dropped", low=1, high=100
    )
    turns: TurnTaking = setting(TurnTaking.AUTO, "how the deep path and frames share the processor")
    alignment: Alignment = setting(
        Alignment.FLOW, "alignment of common features with the scene's motion; none: the published method"
    )
    mask_size: str = setting(
        "",
        "size of masks and of outputs derived from them: WIDTHxHEIGHT, or a factor of the image's such as "
        "0.5; empty: the image's size",
    )

    def __post_init__(self):
        check(self)
        MaskSize(self.mask_size)
        if self.scheduler.threshold_rule is ThresholdRule.DEADLINE and self.mode is not Mode.ASYNC:
            raise ValueError(
                f"threshold_rule deadline in mode {self.mode.value}: keyframes do not depend on time in this "
                "mode; use mode async, or threshold_rule fixed"
            )
        self.scheduler.resolved(self.alignment)  # raises for an invalid combination
