# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which frames are chosen to be labelled: spread, uncertain, sharp, none twice, some of each recording."""

import cv2
import numpy as np
import pytest

from dcfm_ros.bags.to_label import picture
from dcfm_ros.bags.to_label.candidate import Candidate
from dcfm_ros.bags.to_label.choosing import choose, embedding, relative_sharpness
from dcfm_ros.bags.to_label.describing import mean_entropy, pooled


def candidate(index=0, feature=(0.0,), uncertainty=0.5, sharpness=1.0, seed=None, camera=""):
    """Thumbnails of one seed show the same; by default each its own."""
    rng = np.random.default_rng(index if seed is None else seed)
    return Candidate(
        camera,
        index,
        index * 10**9,
        index * 10**9,
        sharpness,
        100.0,
        uncertainty,
        np.array(feature, np.float16),
        np.zeros(3, np.float16),
        rng.integers(0, 256, (24, 32), dtype=np.uint8),
    )


def chosen(candidates, count, recordings=None):
    choices = choose(candidates, recordings or [0] * len(candidates), count)
    return [choice.number for choice in choices.chosen]


def test_the_first_is_typical_and_the_others_are_far_from_all_before():
    line = [candidate(index, (place,)) for index, place in enumerate((0.0, 1.0, 5.0, 9.0, 11.0))]
    assert chosen(line, 4) == [2, 4, 0, 3]  # 9 is 2 away from 11, 1 is 1 away from 0


def test_of_two_at_the_same_distance_the_uncertain_one():
    line = [
        candidate(0, (0.0,)),
        candidate(1, (-4.0,), uncertainty=0.1),
        candidate(2, (4.0,), uncertainty=0.3),
    ]
    assert chosen(line, 2) == [0, 2]


def test_the_order_of_choice_does_not_depend_on_how_many_are_wanted():
    rng = np.random.default_rng(3)
    some = [candidate(index, rng.normal(size=4), uncertainty=rng.uniform()) for index in range(40)]
    assert chosen(some, 20)[:5] == chosen(some, 5)


def test_near_duplicates_are_chosen_once():
    standing = [candidate(index, (index / 100,), seed=1) for index in range(30)]
    choices = choose([*standing, candidate(30, (5.0,))], [0] * 31, 10)
    assert len(choices.chosen) == 2 and choices.repeated == 29


def test_each_recording_gets_frames_before_any_gets_a_second():
    plain = [candidate(index, (index / 1000,)) for index in range(5)]
    wild = [candidate(5 + index, (float(index * index),)) for index in range(20)]
    recordings = [0] * 5 + [1] * 20
    numbers = chosen([*plain, *wild], 8, recordings)
    assert {recordings[number] for number in numbers[:2]} == {0, 1}
    assert sum(number < 5 for number in numbers) == 2  # half of an even share of 4


def test_a_recording_of_nothing_but_repetitions_gets_one_frame():
    same = [candidate(index, (0.0,), seed=1) for index in range(6)]
    assert chosen([*same, candidate(6, (1.0,))], 9, [0, 0, 0, 1, 1, 1, 2]) in (
        [0, 6, 3],
        [0, 3, 6],
        [6, 0, 3],
    )


def test_fewer_frames_than_recordings():
    some = [candidate(index, (float(index),)) for index in range(5)]
    assert len(chosen(some, 2, [0, 1, 2, 3, 4])) == 2


def test_blurred_ones_are_left_out():
    track = [
        candidate(index, (float(index),), sharpness=0.2 if index in (3, 4) else 1.0) for index in range(9)
    ]
    choices = choose(track, [0] * 9, 9)
    assert choices.blurred == 2 and {choice.number for choice in choices.chosen} == {0, 1, 2, 5, 6, 7, 8}


def test_sharpness_is_compared_within_a_camera_and_a_recording():
    some = [
        candidate(0, sharpness=1.0),
        candidate(1, sharpness=100.0, camera="b"),
        candidate(2, sharpness=9.0),
    ]
    assert relative_sharpness(some, [0, 0, 1]).tolist() == [1.0, 1.0, 1.0]


def test_all_the_same():
    some = [candidate(index, (2.0,), sharpness=0.0, seed=1) for index in range(4)]
    assert chosen(some, 3) == [0] and not np.isnan(embedding(some)).any()


def test_nothing_to_choose_from():
    assert choose([], [], 5).chosen == ()


def textured(seed=0, size=(90, 120)):
    coarse = np.random.default_rng(seed).integers(40, 216, (12, 16, 3), dtype=np.uint8)
    return cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_NEAREST)


def test_sharpness_falls_with_motion_blur_and_not_with_exposure():
    sharp = picture.sharpness(picture.grey(textured()))
    blurred = cv2.blur(textured(), (9, 1))
    assert picture.sharpness(picture.grey(blurred)) < 0.6 * sharp
    darker = picture.sharpness(picture.grey((textured() * 0.5).astype(np.uint8)))
    assert darker == pytest.approx(sharp, rel=0.05)


@pytest.mark.parametrize(
    "levels, blank",
    [
        (np.zeros((20, 20), np.uint8), True),
        (np.full((20, 20), 255, np.uint8), True),
        (np.random.default_rng(0).integers(0, 10, (20, 20), dtype=np.uint8), True),  # noise in the dark
        (picture.grey((textured() * 0.2).astype(np.uint8)), False),  # night
    ],
)
def test_what_is_black_or_blank(levels, blank):
    assert picture.is_blank(levels) == blank


def test_the_same_view_with_noise_and_another_view():
    still = picture.thumbnail(picture.grey(textured()))
    noise = np.random.default_rng(1).normal(0, 1, still.shape).round().astype(int)
    noisy = np.clip(still.astype(int) + noise, 0, 255).astype(np.uint8)
    moved = picture.thumbnail(picture.grey(np.roll(textured(), 6, axis=1)))
    assert picture.same_view(np.stack([noisy, moved]), still).tolist() == [True, False]


def test_wide_images_are_measured_at_640_pixels():
    assert picture.grey(np.zeros((720, 1280, 3), np.uint8)).shape == (360, 640)


def test_features_are_means_of_a_grid():
    values = np.arange(2 * 4 * 6, dtype=np.float32).reshape(2, 4, 6)
    cells = pooled(values).reshape(6, 2)
    assert cells[0].tolist() == values[:, :2, :2].mean(axis=(1, 2)).tolist()
    assert cells[5].tolist() == values[:, 2:, 4:].mean(axis=(1, 2)).tolist()


def test_entropy_is_a_share_of_the_greatest():
    assert mean_entropy(np.zeros((5, 8, 8), np.float32)) == pytest.approx(1.0)
    certain = np.zeros((5, 8, 8), np.float32)
    certain[2] = 50
    assert mean_entropy(certain) == pytest.approx(0.0, abs=1e-6)
    assert mean_entropy(np.zeros((1, 8, 8), np.float32)) == 0.0
