# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Settings of a training: learning rates against hand-computed ones, weights of sources, limits."""

from dataclasses import replace

import pytest
from helpers import tiny_config

from dcfm_ros.model.config import ConfigError
from dcfm_ros.training.settings import DataConfig, PhaseConfig, SourceConfig, TrainConfig, ValidationConfig

PHASE = PhaseConfig(10, 4, 64, 96, 0.001, 0.0005)


def config(*phases, **settings):
    return TrainConfig(model=tiny_config(), data=DataConfig(), phases=phases or (PHASE,), **settings)


def test_phases_follow_one_another():
    two = config(PHASE, replace(PHASE, iterations=5, lr_start=0.0005, lr_end=0.0), warmup=0)
    assert two.iterations == 15
    assert [two.phase_at(i)[1] for i in (0, 9, 10, 14)] == [0, 9, 0, 4]
    assert two.phase_at(9)[0] is two.phases[0] and two.phase_at(10)[0] is two.phases[1]
    assert two.learning_rate(5) == pytest.approx(0.00075)  # half-way from 0.001 to 0.0005
    assert two.learning_rate(14) == pytest.approx(0.0005 / 5)
    with pytest.raises(IndexError, match="past the end"):
        two.phase_at(15)


@pytest.mark.parametrize(
    "power, start, end, iteration, rate",
    [
        (1.0, 6e-5, 0.0, 80000, 3e-5),  # half-way down a line
        (1.0, 6e-5, 0.0, 159999, 6e-5 / 160000),
        (0.9, 0.01, 1e-4, 80000, 1e-4 + 0.0099 * 0.5358867),  # 0.5 ** 0.9 = 0.5358867
        (0.9, 0.01, 1e-4, 159999, 1e-4 + 0.0099 * 2.0718e-5),  # (1 / 160000) ** 0.9
        (0.9, 0.02, 1e-5, 0, 0.02),
    ],
)
def test_linear_and_polynomial_decay(power, start, end, iteration, rate):
    phase = PhaseConfig(160000, 16, 64, 64, start, end, power)
    assert phase.learning_rate(iteration) == pytest.approx(rate, rel=1e-4)


@pytest.mark.parametrize(
    "iteration, share",
    [(0, 1e-6), (1, 1e-6 + (1 - 1e-6) / 1500), (750, 0.5000005), (1499, 0.9993333), (1500, 1.0)],
)
def test_warm_up(iteration, share):
    whole = config(PhaseConfig(160000, 16, 64, 64, 6e-5, 0.0), warmup=1500, warmup_start=1e-6)
    assert whole.learning_rate(iteration) == pytest.approx(share * 6e-5 * (1 - iteration / 160000), rel=1e-6)


def test_without_warm_up():
    assert config(warmup=0).learning_rate(0) == 0.001


def test_weights_of_sources():
    data = DataConfig(
        sources=(SourceConfig("synthetic", 3.0), SourceConfig("camvid", 1.0), SourceConfig("vspw", 0.0))
    )
    made = TrainConfig(tiny_config(), data, (PHASE, replace(PHASE, weights=[0, 1, 0])))
    assert made.weights(made.phases[0]) == (3.0, 1.0, 0.0) and made.weights(made.phases[1]) == (0, 1, 0)
    assert [made.is_used(number) for number in range(3)] == [True, True, False]
    one = replace(made, phases=(replace(PHASE, weights=(0, 1, 0)),))
    assert [one.is_used(number) for number in range(3)] == [False, True, False]


def test_synthetic_clips_have_a_default():
    assert SourceConfig("synthetic").clips == 1200 and SourceConfig("synthetic", clips=3).clips == 3
    assert SourceConfig("vspw").clips is None


@pytest.mark.parametrize(
    "make, message",
    [
        (
            lambda: SourceConfig("kitti"),
            "source 'kitti': use one of synthetic, vspw, cityscapes, camvid, soft_labels, folder",
        ),
        (lambda: SourceConfig("synthetic", root="x"), "synthetic scenes have no root and nothing to exclude"),
        (lambda: SourceConfig("camvid", clips=5), "clips 5: camvid is not rendered; remove this setting"),
        (lambda: DataConfig(sources=()), "data has no sources: give at least one"),
        (
            lambda: ValidationConfig("synthetic"),
            "validation on synthetic scenes is not offered; `dcfm evaluate`",
        ),
        (lambda: TrainConfig(tiny_config(), DataConfig(), ()), "no phases: training needs at least one"),
        (lambda: config(replace(PHASE, weights=(1, 2))), "2 weights in a phase: the data has 1 sources"),
        (
            lambda: config(replace(PHASE, weights=(0,))),
            r"data weights \[0\]: none may be negative, one must be positive",
        ),
        (lambda: config(replace(PHASE, weights=(-1,))), r"data weights \[-1\]: none may be negative"),
        (
            lambda: TrainConfig(tiny_config(), DataConfig(movable=("lorry",)), (PHASE,)),
            r"movable \['lorry'\] are not among the model's classes \['sky', 'road'",
        ),
    ],
)
def test_bad_settings_are_named(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
