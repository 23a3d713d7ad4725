# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Settings of a training, validated on construction; nothing else changes its result."""

from __future__ import annotations

from dataclasses import dataclass, field

from dcfm_ros.model.config import ConfigError, ModelConfig
from dcfm_ros.model.settings_types import check_types
from dcfm_ros.training.augment import AugmentConfig

SYNTHETIC = "synthetic"
SOURCES = (SYNTHETIC, "vspw", "cityscapes", "camvid", "folder")
MEANING = (
    "block_eps",
    "inner_eps",
    "image_mean",
    "image_std",
)  # of a model: with others, the same weights give something else
OPTIMISERS = ("adamw", "sgd")


def _check_source(name: str) -> None:
    if name not in SOURCES:
        raise ConfigError(f"unknown data source {name!r}: use one of {', '.join(SOURCES)}")


@dataclass(frozen=True)
class SourceConfig:
    """A data set that pairs come from. Weights are relative; a source of weight 0 is not opened."""

    source: str  # synthetic, vspw, cityscapes, camvid or folder
    weight: float = 1.0
    root: str = ""  # its folder; better given on the command line, --data NAME=PATH
    split: str = "train"
    exclude: str = ""  # leave out clips whose name starts so
    clips: int | None = (
        None  # synthetic only: so many are rendered, each when it is first drawn; by default 1200
    )

    def __post_init__(self):
        check_types(self)
        _check_source(self.source)
        if self.weight < 0:
            raise ConfigError(f"weight {self.weight} of {self.source}: use a number of 0 or more")
        if self.source == SYNTHETIC:
            object.__setattr__(self, "clips", 1200 if self.clips is None else self.clips)
            if self.root or self.exclude:
                raise ConfigError(
                    "synthetic scenes have no root and nothing to exclude: remove these settings"
                )
            if self.clips < 1:
                raise ConfigError(f"clips {self.clips}: render at least 1")
        elif self.clips is not None:
            raise ConfigError(f"clips {self.clips}: {self.source} is not rendered; remove this setting")


@dataclass(frozen=True)
class DataConfig:
    """Where pairs come from."""

    sources: tuple[SourceConfig, ...] = (SourceConfig(SYNTHETIC),)
    radius: int = 8  # the neighbour is at most so many frames away
    neighbour_labels: bool = True  # learn from the neighbour's label, too, where it has one; published: false
    aligned: float = 0.0  # share of pairs whose common features move with the scene, as live; published: 0
    movable: tuple[str, ...] = ()  # classes that may be cut out of stills and pasted into others
    in_memory: bool = False  # read all files and render all scenes before training starts, on all cores

    def __post_init__(self):
        check_types(self)
        if not self.sources:
            raise ConfigError("data has no sources: give at least one")
        if self.radius < 1:
            raise ConfigError(f"radius {self.radius}: the neighbour is at least 1 frame away")
        if not 0 <= self.aligned <= 1:
            raise ConfigError(f"aligned {self.aligned}: use a share, 0 to 1")


@dataclass(frozen=True)
class PhaseConfig:
    """A stretch of training with one crop size; after a share x of it the learning rate is
    lr_end + (lr_start - lr_end) * (1 - x) ** power: a straight line, or the polynomial of power 0.9."""

    iterations: int
    batch: int  # pairs over all processes
    height: int
    width: int
    lr_start: float
    lr_end: float
    power: float = 1.0
    weights: tuple[float, ...] | None = None  # other weights of the sources in this phase, in their order

    def __post_init__(self):
        check_types(self)
        if self.iterations < 1 or self.batch < 1:
            raise ConfigError(
                f"phase with iterations {self.iterations} and batch {self.batch}: both must be at least 1"
            )
        if min(self.height, self.width) < 64:
            raise ConfigError(f"crop {self.width}x{self.height}: use at least 64 pixels each way")
        if min(self.lr_start, self.lr_end) < 0:
            raise ConfigError(f"learning rates {self.lr_start}, {self.lr_end}: must not be negative")
        if self.power <= 0:
            raise ConfigError(f"power {self.power}: use a positive number (1 is a straight line)")

    def learning_rate(self, iteration: int) -> float:
        """Of an iteration of this phase, from 0."""
        left = 1.0 - iteration / self.iterations
        return self.lr_end + (self.lr_start - self.lr_end) * left**self.power


@dataclass(frozen=True)
class ValidationConfig:
    """Labelled frames on which the model is scored while it trains; the best is kept."""

    source: str
    root: str = ""
    split: str = "val"
    only: str = ""  # clips whose name starts so; by default all
    every: int = 1000  # iterations
    frames: int = 100  # so many labelled frames, evenly over the data set; 0: all

    def __post_init__(self):
        check_types(self)
        _check_source(self.source)
        if self.source == SYNTHETIC:
            raise ConfigError(
                "validation on synthetic scenes is not offered; `dcfm evaluate` measures on them"
            )
        if self.every < 1 or self.frames < 0:
            raise ConfigError(
                f"validation every {self.every} iterations on {self.frames} frames: use at least 1, and 0 or "
                "more"
            )


@dataclass(frozen=True)
class TrainConfig:
    model: ModelConfig
    data: DataConfig
    phases: tuple[PhaseConfig, ...]
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    validation: ValidationConfig | None = None
    seed: int = 0
    optimiser: str = "adamw"  # or sgd
    momentum: float = 0.9  # of sgd
    decoder_lr: float = (
        2.0  # bottleneck, FFM and head learn so many times faster than the backbone with its fusion
    )
    encoder_lr: float = (
        1.0  # and the encoder without its fusion so many times, where it has been trained before
    )
    weight_decay: float = 0.01
    decay_norms: bool = False  # decay norms and biases, too
    warmup: int = 200  # iterations in which the rate rises in a straight line from warmup_start of it
    warmup_start: float = 1e-6
    clip_norm: float = 1.0  # gradients are scaled down to this norm; 0: they are not
    class_balance: float = 0.5  # class weight = (median frequency / frequency) ** class_balance; 0 = none
    average: float = (
        0.0  # decay of the moving average of weights, which is what is saved; 0: the last weights are
    )
    head_std: float = 0.5  # spread of the classifier's first weights: its input has unit length
    consistency: bool = True
    init: str = ""  # model (built-in name or folder) whose weights training starts from
    init_encoder: str = (
        ""  # or the file of a pretrained encoder (dcfm import reads them), all else starts fresh
    )
    init_terms: str = ""  # where what training starts from comes from, and its licence: for the record
    init_parts: str = "all"  # or backbone: encoder and fusion alone, the decoder starts fresh
    amp: bool = True  # mixed precision: bfloat16, or float16 on a GPU that lacks it
    channels_last: bool = False  # memory layout of images and weights, which tensor cores like
    save_every: int = 200  # iterations

    def __post_init__(self):
        check_types(self)
        if not self.phases:
            raise ConfigError("no phases: training needs at least one")
        if self.optimiser not in OPTIMISERS:
            raise ConfigError(f"optimiser {self.optimiser!r}: use {' or '.join(OPTIMISERS)}")
        if self.save_every < 1:
            raise ConfigError(f"save_every {self.save_every}: save after 1 or more iterations")
        if self.init and self.init_encoder:
            raise ConfigError(f"init {self.init} and init_encoder {self.init_encoder}: give one of them")
        if self.init_parts not in ("all", "backbone"):
            raise ConfigError(f"init_parts {self.init_parts!r}: use all or backbone")
        if not 0 <= self.momentum < 1:
            raise ConfigError(f"momentum {self.momentum}: use 0 to below 1")
        if not 0 <= self.average < 1:
            raise ConfigError(f"average {self.average}: use 0 to below 1")
        if not 0 <= self.warmup_start <= 1:
            raise ConfigError(f"warmup_start {self.warmup_start}: use a share of the rate, 0 to 1")
        for name in (
            "decoder_lr",
            "encoder_lr",
            "weight_decay",
            "warmup",
            "clip_norm",
            "class_balance",
            "head_std",
        ):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} {getattr(self, name)}: must not be negative")
        if unknown := sorted(set(self.data.movable) - set(self.model.class_names)):
            raise ConfigError(
                f"movable {unknown} are not among the model's classes {list(self.model.class_names)}"
            )
        for phase in self.phases:
            weights = self.weights(phase)
            if len(weights) != len(self.data.sources):
                raise ConfigError(
                    f"{len(weights)} weights in a phase: the data has {len(self.data.sources)} sources"
                )
            if min(weights) < 0 or sum(weights) <= 0:
                raise ConfigError(f"data weights {list(weights)}: none may be negative, one must be positive")

    @property
    def iterations(self) -> int:
        return sum(phase.iterations for phase in self.phases)

    def weights(self, phase: PhaseConfig) -> tuple[float, ...]:
        """Weights of the data sources in a phase."""
        return (
            tuple(source.weight for source in self.data.sources) if phase.weights is None else phase.weights
        )

    def is_used(self, number: int) -> bool:
        """Whether any phase draws from source `number`."""
        return any(self.weights(phase)[number] > 0 for phase in self.phases)

    def phase_at(self, iteration: int) -> tuple[PhaseConfig, int]:
        """The phase of an iteration and the iteration's number within it."""
        for phase in self.phases:
            if iteration < phase.iterations:
                return phase, iteration
            iteration -= phase.iterations
        raise IndexError(f"iteration is {iteration} past the end of training")

    def learning_rate(self, iteration: int) -> float:
        """The backbone's."""
        phase, within = self.phase_at(iteration)
        rate = phase.learning_rate(within)
        if iteration < self.warmup:
            rate *= self.warmup_start + (1.0 - self.warmup_start) * iteration / self.warmup
        return rate
