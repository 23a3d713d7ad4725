# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A schedule that fits a time: the phases keep their proportions, batches fit into memory, and going on keeps
what was chosen."""

import math
from dataclasses import replace

import pytest
import torch
from training_helpers import log_of, run, state_of

from dcfm_ros.model.config import ConfigError
from dcfm_ros.training import fit
from dcfm_ros.training.datasets import Data, open_data
from dcfm_ros.training.group import Group
from dcfm_ros.training.settings import PhaseConfig, ValidationConfig

ALONE = Group(0, 1, torch.device("cpu"))
SLOW, FAST = PhaseConfig(100, 16, 128, 128, 1e-3, 1e-4), PhaseConfig(300, 16, 64, 64, 1e-4, 0.0)


@pytest.fixture
def config(train_config):
    return train_config(phases=(SLOW, FAST), warmup=20, validation=ValidationConfig("folder", every=50))


@pytest.fixture
def step_times(monkeypatch):
    """A step takes 0.2 s in large crops and 0.1 s in small ones, and memory has room for `room` pairs."""

    def make(room=16, validating=1.0):
        def of(config, phase, *_):
            if phase.batch > room:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory")
            return 0.2 if phase.height == 128 else 0.1

        monkeypatch.setattr(fit, "_step_time", of)
        monkeypatch.setattr(fit, "_validation_time", lambda *_: validating)

    return make


def fitted(config, seconds=600.0, group=ALONE):
    said = []
    return fit.fitted(config, Data((), None), group, 0, seconds, said.append), said


def test_phases_fill_the_time_in_their_proportions(config, step_times):
    step_times()
    found, said = fitted(config)
    slow, fast = found.phases
    # 8 validations, too
    assert 0.92 * 600 <= 0.2 * slow.iterations + 0.1 * fast.iterations + 8 * 1.0 <= 0.94 * 600
    assert fast.iterations / slow.iterations == pytest.approx(3, rel=0.01)
    assert found.warmup / found.iterations == pytest.approx(20 / 400, rel=0.02)
    assert found.validation.every / found.iterations == pytest.approx(50 / 400, rel=0.02)
    assert found.save_every == 300  # a minute of the slower phase's steps
    assert said == [f"fit: 200 ms, 100 ms a step; {slow.iterations} + {fast.iterations} iterations"]
    assert (
        replace(
            found, phases=config.phases, warmup=20, save_every=config.save_every, validation=config.validation
        )
        == config
    )


def test_batches_that_do_not_fit_into_memory_are_halved(config, step_times):
    step_times(room=5)
    found, said = fitted(config)
    assert [phase.batch for phase in found.phases] == [4, 4]
    # the square root of a quarter
    assert [phase.lr_start for phase in found.phases] == pytest.approx([5e-4, 5e-5])
    assert said[:2] == [
        f"fit: too little memory; the batch sizes are now {count}, {count}" for count in (8, 4)
    ]


def test_not_even_one_pair_fits(config, step_times):
    step_times(room=0)
    with pytest.raises(
        ConfigError, match="not even one pair of images fits into the GPU's memory: use smaller crops"
    ):
        fitted(config)


@pytest.mark.parametrize("validating, times", [(5.0, 8), (40.0, 2), (1000.0, 1)])
def test_validations_take_a_small_part_of_the_time_but_there_is_one(config, step_times, validating, times):
    step_times(validating=validating)
    found = fitted(config, seconds=1500.0 if times == 1 else 600.0)[0]
    assert math.ceil(found.iterations / found.validation.every) == times
    assert 0.2 * found.phases[0].iterations + 0.1 * found.phases[1].iterations + times * validating <= 1500.0


def test_too_little_time(config, step_times):
    step_times()
    with pytest.raises(
        ConfigError, match="fit: a step takes 0.2 s, and of 1 s 0 are left, too few: give more minutes, sma"
    ):
        fitted(config, seconds=1.0)


def test_a_group_is_refused(config):
    with pytest.raises(ConfigError, match="a single process only"):
        fitted(config, group=Group(0, 2, torch.device("cpu")))


def test_a_step_is_timed_with_its_batch(train_config):
    config = train_config(iterations=5)
    (phase,), data = config.phases, open_data(config)
    assert 0.0 < fit._step_time(config, phase, data, ALONE, 0, 0.001) < 60.0


@pytest.mark.slow
def test_a_training_that_fits_and_goes_on_as_fitted(train_config, tmp_path, monkeypatch):
    monkeypatch.setattr(fit, "_step_time", lambda *_: 2.0)  # so few that they are done in any time
    config = train_config(iterations=1_000_000, save_every=100_000)
    done = run(config, tmp_path / "run", minutes=1, fit=True)
    iterations = state_of(tmp_path / "run")["iteration"]
    # to the end of its schedule
    assert done.note.startswith(f"{iterations} of {iterations} iterations are done")
    assert 20 < iterations <= 28  # 94 % of a minute
    again = run(config, tmp_path / "run", minutes=1, fit=True, resume=True)
    assert again.note == done.note and state_of(tmp_path / "run")["iteration"] == iterations
    rates = [line["learning_rate"] for line in log_of(tmp_path / "run")]
    assert rates == [1e-3]


def test_data_that_cannot_be_read_stop_it_at_once(train_config, stills, tmp_path):
    for label in (stills / "labels").iterdir():
        label.write_bytes(b"no label")
    with pytest.raises(RuntimeError, match="cannot be read as a PNG"):
        run(train_config(), tmp_path / "run", minutes=1, fit=True)


def test_minutes_are_needed(train_config, tmp_path):
    with pytest.raises(ValueError, match="fit: give the minutes to fit training into"):
        run(train_config(), tmp_path / "run", fit=True)
