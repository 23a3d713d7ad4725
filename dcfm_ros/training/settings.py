# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Settings of a training, validated on construction. Its result depends on nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from dcfm_ros.model.config import ConfigError, ModelConfig
from dcfm_ros.setting_fields import check, setting
from dcfm_ros.sources.data_sets import DATA_SETS, SYNTHETIC
from dcfm_ros.training.augment import AugmentConfig

SOURCES = (SYNTHETIC, *DATA_SETS)
# of a model: with others, the same weights give something else
MEANING = ("block_eps", "inner_eps", "image_mean", "image_std")
ALL, BACKBONE, MASKS = INIT_PARTS = ("all", "backbone", "masks")
OPTIMISERS = ("adamw", "sgd")


@dataclass(frozen=True)
class SourceConfig:
    """A data set from which pairs are drawn. A source with weight 0 is not opened."""

    source: str = setting(description="kind of data set", choices=SOURCES)
    weight: float = setting(1.0, "relative weight, by which pairs are drawn", low=0)
    root: str = setting("", "its folder; better given on the command line, --data NAME=PATH")
    split: str = setting("train", "split of the data set")
    exclude: str = setting("", "leave out clips whose name starts so")
    clips: int | None = setting(
        None, "synthetic only: so many are rendered, each when it is first drawn; by default 1200", low=1
    )

    def __post_init__(self):
        check(self)
        if self.source == SYNTHETIC:
            object.__setattr__(self, "clips", 1200 if self.clips is None else self.clips)
            if self.root or self.exclude:
                raise ConfigError(
                    "synthetic scenes have no root and nothing to exclude: remove these settings"
                )
        elif self.clips is not None:
            raise ConfigError(f"clips {self.clips}: {self.source} is not rendered; remove this setting")


@dataclass(frozen=True)
class DataConfig:
    """Sources of training pairs, and how pairs are drawn."""

    sources: tuple[SourceConfig, ...] = setting((SourceConfig(SYNTHETIC),), "data sets")
    radius: int = setting(8, "the neighbour is at most so many frames away", low=1, unit="frames")
    neighbour_labels: bool = setting(
        True, "learn from the neighbour's label, too, where it has one; published: false"
    )
    aligned: float = setting(
        0.0, "share of pairs whose common features move with the scene, as live; published: 0", low=0, high=1
    )
    movable: tuple[str, ...] = setting((), "classes that may be cut out of stills and pasted into others")
    in_memory: bool = setting(
        False, "read all files and render all scenes before training starts, on all cores"
    )

    def __post_init__(self):
        check(self)
        if not self.sources:
            raise ConfigError("data has no sources: give at least one")


@dataclass(frozen=True)
class PhaseConfig:
    """A part of a training with one crop size. After a fraction x of it, the learning rate is lr_end +
    (lr_start - lr_end) * (1 - x) ** power: linear, or the polynomial of power 0.9."""

    iterations: int = setting(description="length of the phase", low=1, unit="iterations")
    batch: int = setting(description="pairs over all processes", low=1)
    height: int = setting(description="height of the crop", low=64, unit="pixels")
    width: int = setting(description="width of the crop", low=64, unit="pixels")
    lr_start: float = setting(description="learning rate at the start", low=0)
    lr_end: float = setting(description="learning rate at the end", low=0)
    power: float = setting(1.0, "power of the polynomial; 1 is a straight line", above=0)
    weights: tuple[float, ...] | None = setting(
        None, "other weights of the sources in this phase, in their order"
    )

    def __post_init__(self):
        check(self)

    def learning_rate(self, iteration: int) -> float:
        """Return the learning rate in an iteration of this phase, counted from 0."""
        left = 1.0 - iteration / self.iterations
        return self.lr_end + (self.lr_start - self.lr_end) * left**self.power


@dataclass(frozen=True)
class ValidationConfig:
    """Labelled frames on which the model is scored during training; the best model is kept."""

    source: str = setting(description="kind of data set", choices=SOURCES)
    root: str = setting("", "its folder; better given on the command line, --data NAME=PATH")
    split: str = setting("val", "split of the data set")
    only: str = setting("", "clips whose name starts so; by default all")
    every: int = setting(1000, "iterations between validations", low=1, unit="iterations")
    frames: int = setting(100, "so many labelled frames, evenly over the data set; 0: all", low=0)

    def __post_init__(self):
        check(self)
        if self.source == SYNTHETIC:
            raise ConfigError(
                "validation on synthetic scenes is not offered; `dcfm evaluate` measures on them"
            )


@dataclass(frozen=True)
class TrainConfig:
    """Everything that a training's result depends on."""

    model: ModelConfig
    data: DataConfig
    phases: tuple[PhaseConfig, ...]
    augment: AugmentConfig = setting(factory=AugmentConfig)
    validation: ValidationConfig | None = None
    seed: int = setting(0, "seed of all random numbers")
    optimiser: str = setting("adamw", "optimiser", choices=OPTIMISERS)
    momentum: float = setting(0.9, "momentum of sgd", low=0, below=1)
    decoder_lr: float = setting(
        2.0, "bottleneck, FFM and head learn so many times faster than the backbone with its fusion", low=0
    )
    encoder_lr: float = setting(
        1.0, "and the encoder without its fusion so many times, where it has been trained before", low=0
    )
    weight_decay: float = setting(0.01, "weight decay of the optimiser", low=0)
    decay_norms: bool = setting(False, "decay norms and biases, too")
    frozen_norms: bool = setting(
        False,
        "batch norms keep the statistics of init: for tuning a model by low rates, which batches of other "
        "statistics would disturb",
    )
    warmup: int = setting(
        200,
        "iterations in which the rate rises in a straight line from warmup_start of it",
        low=0,
        unit="iterations",
    )
    warmup_start: float = setting(1e-6, "share of the rate with which warm-up begins", low=0, high=1)
    clip_norm: float = setting(1.0, "gradients are scaled down to this norm; 0: they are not", low=0)
    class_balance: float = setting(
        0.5, "class weight = (median frequency / frequency) ** class_balance; 0: none", low=0
    )
    average: float = setting(
        0.0,
        "decay of the moving average of weights, which is what is saved; 0: the last weights are",
        low=0,
        below=1,
    )
    head_std: float = setting(
        0.5, "spread of the classifier's first weights: its input has unit length", low=0
    )
    consistency: bool = setting(True, "use the consistency loss")
    init: str = setting("", "model (built-in name or folder) whose weights training starts from")
    init_encoder: str = setting(
        "", "or the file of a pretrained encoder (`dcfm import` reads them); all else starts fresh"
    )
    init_terms: str = setting(
        "", "where what training starts from comes from, and its licence: for the record"
    )
    init_parts: str = setting(
        ALL,
        "parts of init that are taken: all; backbone: encoder and fusion, the decoder starts fresh; masks: "
        "all, and the decoder of DCFM starts so that keyframes have the masks of a per-frame init",
        choices=INIT_PARTS,
    )
    amp: bool = setting(True, "mixed precision: bfloat16, or float16 on a GPU that lacks it")
    channels_last: bool = setting(False, "memory layout of images and weights, which tensor cores like")
    save_every: int = setting(200, "iterations between checkpoints", low=1, unit="iterations")

    def __post_init__(self):
        check(self)
        if not self.phases:
            raise ConfigError("no phases: training needs at least one")
        if self.init and self.init_encoder:
            raise ConfigError(f"init {self.init} and init_encoder {self.init_encoder}: give one of them")
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
        """Return the weights of the data sources in a phase."""
        return (
            tuple(source.weight for source in self.data.sources) if phase.weights is None else phase.weights
        )

    def is_used(self, number: int) -> bool:
        """Return whether any phase draws from source `number`."""
        return any(self.weights(phase)[number] > 0 for phase in self.phases)

    def phase_at(self, iteration: int) -> tuple[PhaseConfig, int]:
        """Return the phase of an iteration, and the iteration's number within it."""
        for phase in self.phases:
            if iteration < phase.iterations:
                return phase, iteration
            iteration -= phase.iterations
        raise IndexError(f"iteration is {iteration} past the end of training")

    def learning_rate(self, iteration: int) -> float:
        """Return the backbone's learning rate."""
        phase, within = self.phase_at(iteration)
        rate = phase.learning_rate(within)
        if iteration < self.warmup:
            rate *= self.warmup_start + (1.0 - self.warmup_start) * iteration / self.warmup
        return rate
