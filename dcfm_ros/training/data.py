"""From pair sources to batches: sample number i is a pure function of (seed, i), so training resumes exactly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from dcfm_ros.model.config import ConfigError
from dcfm_ros.training.augment import augment
from dcfm_ros.training.config import PhaseConfig, TrainConfig
from dcfm_ros.training.pairs import Pair, PairSource, StillPairs, SyntheticPairs


class PairBatches:
    """Batches for one process of a data-parallel group; every process draws its own samples."""

    def __init__(self, config: TrainConfig, rank: int = 0, world: int = 1):
        if smallest := [phase.batch for phase in config.phases if phase.batch < world]:
            raise ConfigError(f"batch {smallest[0]}: give at least one pair for each of {world} processes")
        self.config, self.rank, self.world = config, rank, world
        self._sources: dict[str, PairSource] = {}

    def batch(self, iteration: int) -> list[Pair]:
        """This process's augmented pairs of an iteration."""
        phase, _ = self.config.phase_at(iteration)
        numbers = range(self.rank, phase.batch, self.world)
        return [self._sample(phase, (self.config.seed, 1, iteration, number)) for number in numbers]

    def class_counts(self, samples: int = 64) -> np.ndarray:
        """Labelled pixels of each class (classes,) in this process's share of a fixed draw of crops."""
        counts = np.zeros(256, np.int64)
        phase = self.config.phases[0]
        for number in range(self.rank, samples, self.world):
            counts += np.bincount(self._sample(phase, (self.config.seed, 2, number)).label.ravel(), minlength=256)
        return counts[:len(self.config.model.classes)]

    def _sample(self, phase: PhaseConfig, key: tuple[int, ...]) -> Pair:
        rng = np.random.default_rng(key)
        synthetic, stills = self.config.data_weights(phase)
        name = "synthetic" if rng.random() * (synthetic + stills) < synthetic else "stills"
        return augment(self._source(name).pair(rng), phase.height, phase.width, self.config.augment, rng)

    def _source(self, name: str) -> PairSource:
        if name not in self._sources:
            data, names = self.config.data, self.config.model.class_names
            self._sources[name] = (
                SyntheticPairs(data.synthetic_clips, data.radius, self.rank, self.world) if name == "synthetic"
                else StillPairs(data.stills, tuple(names.index(c) for c in data.movable), data.radius, data.stills_exclude)
            )
        return self._sources[name]


def balanced_weights(counts: np.ndarray, exponent: float) -> Tensor | None:
    """Class weights (median frequency / frequency) ** exponent, scaled so that a mean pixel weighs 1; None for 0."""
    if exponent == 0:
        return None
    share = np.maximum(counts / max(counts.sum(), 1), 1e-4)
    weights = (np.median(share) / share) ** exponent
    return torch.tensor(weights / (weights * share).sum(), dtype=torch.float32)


def with_stills(config: TrainConfig, folder: str) -> TrainConfig:
    """The configuration with another folder of stills."""
    return replace(config, data=replace(config.data, stills=folder))
