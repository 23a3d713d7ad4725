# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fits a schedule to a time limit: some steps are timed, then the phases get the length that the remaining
time allows.

The learning rate stays a function of the iteration, so a fitted training resumes as exactly as any other.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

import torch
from tqdm import tqdm

from dcfm_ros.model.config import ConfigError
from dcfm_ros.training.data import PairBatches, load_batches
from dcfm_ros.training.datasets import Data
from dcfm_ros.training.group import Group
from dcfm_ros.training.optimiser import Precision, make_optimiser
from dcfm_ros.training.settings import PhaseConfig, TrainConfig
from dcfm_ros.training.start import fresh_model
from dcfm_ros.training.step import on_device, step
from dcfm_ros.training.validate import score

_TIMING = 0.05  # fraction of the time used for timing steps
_LONGEST_TIMING = 0.5
_SPARE = 0.06  # fraction of the rest reserved for saving and for slower steps
_VALIDATING = 0.15  # largest fraction of the time for validations
_LEAST = 3  # timed steps of a phase; the later half of all counts
_SAVE_S = 60.0
_SCORED = 4  # frames used to time a validation


def fitted(
    config: TrainConfig,
    data: Data,
    group: Group,
    workers: int,
    seconds: float,
    tell: Callable[[str], None] = tqdm.write,
) -> TrainConfig:
    """Return `config` with phases that together take about `seconds`, in their original proportions, and a
    checkpoint per minute.

    Warm-up and the interval of validations scale accordingly; validations are less frequent if they would
    take too much of the time. Batches that exceed a GPU's memory are halved, and the learning rates reduced
    by the square root. Raises ConfigError if there is no time for one iteration of each phase.
    """
    if group.world > 1:
        raise ConfigError(
            "fitting to a time limit supports a single process only: train without torchrun, or give "
            "iterations"
        )
    begun = time.monotonic()
    while True:
        try:
            each = [
                _step_time(config, phase, data, group, workers, seconds / len(config.phases))
                for phase in config.phases
            ]
            break
        except torch.cuda.OutOfMemoryError:
            config = _with_half_batches(config)
            tell(
                f"fit: too little memory; the batch sizes are now "
                f"{', '.join(str(phase.batch) for phase in config.phases)}"
            )
    validating = _validation_time(config, data, group) if config.validation else 0.0
    left = (1.0 - _SPARE) * (seconds - (time.monotonic() - begun))
    validations = math.ceil(config.iterations / config.validation.every) if config.validation else 0
    if validating * validations > _VALIDATING * left:
        validations = max(1, int(_VALIDATING * left / validating))
    left -= validating * validations
    scale = left / sum(phase.iterations * of for phase, of in zip(config.phases, each))
    if min(phase.iterations for phase in config.phases) * scale < 1.0:
        raise ConfigError(
            f"fit: a step takes {max(each):.1f} s, and of {seconds:.0f} s {max(0.0, left):.0f} are left, too "
            "few: give more minutes, smaller batches or smaller crops"
        )
    phases = tuple(replace(phase, iterations=int(phase.iterations * scale)) for phase in config.phases)
    iterations = sum(phase.iterations for phase in phases)
    tell(
        f"fit: {', '.join(f'{1e3 * of:.0f} ms' for of in each)} a step; "
        f"{' + '.join(str(phase.iterations) for phase in phases)} iterations"
    )
    return replace(
        config,
        phases=phases,
        warmup=round(config.warmup * scale),
        save_every=max(1, int(_SAVE_S / max(each))),
        validation=config.validation
        and replace(config.validation, every=math.ceil(iterations / validations)),
    )


def _step_time(
    config: TrainConfig, phase: PhaseConfig, data: Data, group: Group, workers: int, seconds: float
) -> float:
    """Return the seconds that a step of the phase takes, including its batch. The first steps are excluded,
    as their batches were prepared in advance.

    seconds: time in which the phase is measured, for a small part of it, or for half if steps are long
    """
    config = replace(config, phases=(replace(phase, iterations=1_000_000),), validation=None)
    model = on_device(fresh_model(config), config, group.device)
    optimiser, precision = make_optimiser(model, config), Precision(config.amp, group.device)
    begun, ends = time.monotonic(), []
    batches = PairBatches(config, data.pairs, group.rank, group.world)
    with closing(
        load_batches(batches, range(config.iterations), workers, group.device.type == "cuda")
    ) as loaded:
        for iteration, batch in enumerate(loaded):
            if isinstance(batch, Exception):
                raise batch
            step(model, optimiser, precision, batch, config, iteration, class_weights=None)
            ends.append(time.monotonic())
            passed = ends[-1] - begun
            if (len(ends) >= _LEAST and passed >= _TIMING * seconds) or passed >= _LONGEST_TIMING * seconds:
                break
    if len(ends) == 1:
        return ends[0] - begun
    first = len(ends) // 2 - 1
    return (ends[-1] - ends[first]) / (len(ends) - 1 - first)


def _validation_time(config: TrainConfig, data: Data, group: Group) -> float:
    """Estimate the seconds that a validation takes, from a few of its frames."""
    if config.validation is None or data.validation is None:
        return 0
    wanted = config.validation.frames or sum(len(clip.labelled) for clip in data.validation.clips)
    model, begun = on_device(fresh_model(config), config, group.device), time.monotonic()
    score(model, data.validation, min(_SCORED, wanted), config.data.radius, group, config.data.aligned > 0)
    return (time.monotonic() - begun) * wanted / min(_SCORED, wanted)


def _with_half_batches(config: TrainConfig) -> TrainConfig:
    if min(phase.batch for phase in config.phases) < 2:
        raise ConfigError(
            "not even one pair of images fits into the GPU's memory: use smaller crops (phases.0.height and "
            "width), or a smaller backbone"
        )
    return replace(
        config,
        phases=tuple(
            replace(
                phase,
                batch=phase.batch // 2,
                lr_start=phase.lr_start * 0.5**0.5,
                lr_end=phase.lr_end * 0.5**0.5,
            )
            for phase in config.phases
        ),
    )
