"""Training configuration: one YAML file, validated; `dcfm train` takes nothing else that changes the result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

import yaml

from dcfm_ros.model.config import ConfigError, ModelConfig
from dcfm_ros.training.augment import AugmentConfig


@dataclass(frozen=True)
class DataConfig:
    """Where pairs come from and how often. Weights are relative; a source of weight 0 is not opened."""

    synthetic_weight: float = 1.0
    synthetic_clips: int = 1200     # clips rendered and kept in memory
    radius: int = 8                 # the neighbour is at most so many frames away
    stills_weight: float = 0.0
    stills: str = ""                # folder with images/ and labels/; may be given on the command line
    stills_exclude: str = ""        # leave out files whose name starts so
    movable: tuple[str, ...] = ()   # classes that may be cut out and pasted

    def __post_init__(self):
        object.__setattr__(self, "movable", tuple(self.movable))
        if self.synthetic_weight < 0 or self.stills_weight < 0 or self.synthetic_weight + self.stills_weight <= 0:
            raise ConfigError(
                f"data weights {self.synthetic_weight} and {self.stills_weight}: none may be negative, one must be positive")
        if self.radius < 1:
            raise ConfigError(f"radius {self.radius}: the neighbour is at least 1 frame away")


@dataclass(frozen=True)
class PhaseConfig:
    """A stretch of training with one crop size; the rate goes in a straight line from lr_start to lr_end."""

    iterations: int
    batch: int                      # pairs over all processes
    height: int
    width: int
    lr_start: float
    lr_end: float
    synthetic_weight: float | None = None   # other data weights in this phase
    stills_weight: float | None = None

    def __post_init__(self):
        if self.iterations < 1 or self.batch < 1:
            raise ConfigError(f"phase with iterations {self.iterations} and batch {self.batch}: both must be at least 1")
        if self.height % 32 or self.width % 32 or min(self.height, self.width) < 64:
            raise ConfigError(f"crop {self.width}x{self.height}: use multiples of 32, at least 64")
        if min(self.lr_start, self.lr_end) < 0:
            raise ConfigError(f"learning rates {self.lr_start}, {self.lr_end}: must not be negative")


@dataclass(frozen=True)
class TrainConfig:
    model: ModelConfig
    data: DataConfig
    phases: tuple[PhaseConfig, ...]
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    seed: int = 0
    decoder_lr: float = 2.0         # FFM and head learn so many times faster than the encoder and its fusion
    weight_decay: float = 0.01
    warmup: int = 200
    clip_norm: float = 1.0
    class_balance: float = 0.5      # class weight = (median frequency / frequency) ** class_balance; 0 = none
    head_std: float = 0.5           # spread of the classifier's first weights: its input has unit length
    consistency: bool = True
    init: str = ""                  # model (built-in name or folder) whose weights training starts from
    init_parts: str = "all"         # or backbone: encoder and fusion alone, the decoder starts fresh
    amp: bool = True                # bfloat16 autocast
    save_every: int = 200           # iterations

    def __post_init__(self):
        if not self.phases:
            raise ConfigError("no phases: training needs at least one")
        if self.save_every < 1:
            raise ConfigError(f"save_every {self.save_every}: save after 1 or more iterations")
        if self.init_parts not in ("all", "backbone"):
            raise ConfigError(f"init_parts {self.init_parts!r}: use all or backbone")
        if unknown := sorted(set(self.data.movable) - set(self.model.class_names)):
            raise ConfigError(f"movable {unknown} are not among the model's classes {list(self.model.class_names)}")
        for phase in self.phases:
            if min(weights := self.data_weights(phase)) < 0 or sum(weights) <= 0:
                raise ConfigError(f"data weights {weights[0]} and {weights[1]} in a phase: none may be negative, one must be positive")

    @property
    def iterations(self) -> int:
        return sum(phase.iterations for phase in self.phases)

    def data_weights(self, phase: PhaseConfig) -> tuple[float, float]:
        """Weights of synthetic pairs and of stills in a phase."""
        return (self.data.synthetic_weight if phase.synthetic_weight is None else phase.synthetic_weight,
                self.data.stills_weight if phase.stills_weight is None else phase.stills_weight)

    def phase_at(self, iteration: int) -> tuple[PhaseConfig, int]:
        """The phase of an iteration and the iteration's number within it."""
        for phase in self.phases:
            if iteration < phase.iterations:
                return phase, iteration
            iteration -= phase.iterations
        raise IndexError(f"iteration is {iteration} past the end of training")

    def learning_rate(self, iteration: int) -> float:
        phase, within = self.phase_at(iteration)
        rate = phase.lr_start + (phase.lr_end - phase.lr_start) * within / phase.iterations
        return rate * min(1.0, (iteration + 1) / max(1, self.warmup))


def load_train_config(path: str | Path, changes: Sequence[str] = ()) -> TrainConfig:
    """Read a YAML file; unknown or missing settings are errors that name them.

    changes: `setting=value` each, in place of the file's, as in `seed=1` or `data.radius=1`; a value is read as YAML.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"no training configuration at {path}: name a YAML file, for example config/train/street11_b0.yaml")
    try:
        plain = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(plain, dict):
        raise ConfigError(f"{path} does not hold a mapping of settings")
    for change in changes:
        _apply(plain, change)
    try:
        return TrainConfig(
            model=ModelConfig.from_dict(plain.pop("model", {})),
            data=_build(DataConfig, plain.pop("data", {}), "data"),
            phases=tuple(_build(PhaseConfig, p, "phase") for p in plain.pop("phases", [])),
            augment=_build(AugmentConfig, plain.pop("augment", {}), "augment"),
            **_known(TrainConfig, plain, "training"),
        )
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{path}: {error}") from error


def _apply(plain: dict, change: str) -> None:
    name, equals, value = change.partition("=")
    *sections, last = name.strip().split(".")
    for section in sections:
        plain = plain.setdefault(section, {})
        if not isinstance(plain, dict):
            raise ConfigError(f"{change!r}: {section} has no settings of its own")
    if not equals or not last:
        raise ConfigError(f"{change!r}: write setting=value, for example seed=1 or data.radius=1")
    plain[last] = yaml.safe_load(value)


def _build(kind, plain: dict, where: str):
    return kind(**_known(kind, plain, where))


def _known(kind, plain: dict, where: str) -> dict:
    names = {f.name for f in fields(kind)}
    if unknown := sorted(set(plain) - names):
        raise ConfigError(f"unknown {where} settings {unknown}: known are {sorted(names)}")
    return plain
