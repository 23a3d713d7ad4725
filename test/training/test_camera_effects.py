# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Effects of camera, light and weather: on both frames alike, drawn again from the same seed, and never on
labels."""

import numpy as np
import pytest

from dcfm_ros.training import camera_effects
from dcfm_ros.training.augment import AugmentConfig, augment
from dcfm_ros.training.camera_effects import draw_effects, with_effects
from dcfm_ros.training.pairs import Pair

SIZE = (64, 96)
ALL = ("_lighting", "_haze", "_rain", "_blur", "_resolution", "_colour", "_noise", "_jpeg")
OWN = ("_rain", "_noise")  # what is each frame's own


@pytest.fixture
def image():
    """Smooth, with some structure."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    return np.stack(
        [128 + 60 * np.sin(x / 9), 120 + 50 * np.cos(y / 7), 90 + 40 * np.sin((x + y) / 11)], -1
    ).astype(np.uint8)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("seed", range(8))
def test_an_effect_is_one_for_both_frames(image, name, seed):
    effect = getattr(camera_effects, name)(SIZE, np.random.default_rng(seed))
    first, second = (effect(image.copy(), np.random.default_rng(number)) for number in (1, 2))
    assert first.shape == image.shape and first.dtype == np.uint8
    assert np.array_equal(first, second) == (name not in OWN)
    assert np.array_equal(first, effect(image.copy(), np.random.default_rng(1)))
    changed = np.abs(first.astype(int) - image).mean()
    assert 0.02 < changed < 110, changed  # something happens, and something is left


def test_as_many_as_the_share_says():
    rng = np.random.default_rng(0)
    counts = [len(draw_effects(0.25, SIZE, rng)) for _ in range(400)]
    assert np.mean(counts) == pytest.approx(0.25 * len(ALL), abs=0.2)
    assert draw_effects(0.0, SIZE, rng) == [] and len(draw_effects(1.0, SIZE, rng)) == len(ALL)


def test_none_leave_the_picture_as_it_is(image):
    assert with_effects(image, [], np.random.default_rng(0)) is image


def test_labels_and_geometry_stay(image):
    label = np.zeros(SIZE, np.uint8)
    label[20:, 30:] = 3
    pair = Pair(image, label, image.copy(), label.copy())
    for seed in range(4):
        plain = augment(pair, *SIZE, AugmentConfig(), np.random.default_rng(seed))
        changed = augment(pair, *SIZE, AugmentConfig(effects=1.0), np.random.default_rng(seed))
        assert np.array_equal(plain.label, changed.label) and np.array_equal(
            plain.neighbour_label, changed.neighbour_label
        )
        assert not np.array_equal(plain.image, changed.image)
