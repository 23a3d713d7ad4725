# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Upsample-and-argmax against PyTorch's interpolate and argmax."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from dcfm_ros.pipeline.postprocess import (
    upsampled_argmax,
    upsampled_argmax_confidence,
    upsampled_probabilities,
)

SIZES = [  # of the logits, of the mask
    ((15, 20), (60, 80)),  # stride 4
    ((15, 20), (67, 101)),  # not a whole number
    ((12, 20), (90, 160)),
    ((23, 17), (23, 17)),  # as it is
    ((20, 30), (13, 11)),  # down
    ((20, 30), (50, 11)),  # up and down
    ((1, 20), (30, 80)),  # one row
    ((20, 1), (80, 30)),
    ((1, 1), (9, 7)),
    ((9, 7), (1, 1)),
]
CLASS_COUNTS = [1, 2, 11, 124]


def make_logits(classes, size, seed=0, smooth=False):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0.0, 2.0, (classes, *size)).astype(np.float32)
    if smooth:  # large areas of one class, as a network gives
        logits = F.avg_pool2d(torch.from_numpy(logits)[None], 5, 1, 2)[0].numpy() * 5
    return logits


def reference(logits, size):
    """Argmax (H, W), softmax of the winner, and where the winner leads by more than rounding."""
    values = F.interpolate(
        torch.from_numpy(logits)[None].double(), size, mode="bilinear", align_corners=False
    )[0]
    confidence = values.softmax(0).amax(0)
    if len(logits) == 1:
        return np.zeros(size, np.uint8), confidence.numpy(), np.ones(size, bool)
    best = values.topk(2, dim=0).values
    return values.argmax(0).numpy().astype(np.uint8), confidence.numpy(), (best[0] - best[1] > 1e-4).numpy()


@pytest.mark.slow
@pytest.mark.parametrize("classes", CLASS_COUNTS)
@pytest.mark.parametrize("small, large", SIZES)
def test_equals_interpolate_and_argmax_away_from_ties(classes, small, large):
    for seed, smooth in ((0, False), (1, True)):
        logits = make_logits(classes, small, seed, smooth)
        wanted, confidence, clear = reference(logits, large)
        assert clear.mean() > 0.99 or clear.size < 200
        mask = upsampled_argmax(logits, large)
        same, certainty = upsampled_argmax_confidence(logits, large)
        assert mask.shape == large and mask.dtype == np.uint8 and mask.flags.c_contiguous
        assert np.array_equal(mask[clear], wanted[clear])
        assert np.array_equal(same[clear], wanted[clear])
        assert certainty.shape == large and certainty.dtype == np.uint8
        assert np.abs(certainty - 255 * confidence).max() <= 1


@pytest.mark.parametrize("small, large", SIZES)
def test_both_functions_give_the_same_mask(small, large):
    for seed in range(3):
        logits = make_logits(11, small, seed)
        assert np.array_equal(upsampled_argmax_confidence(logits, large)[0], upsampled_argmax(logits, large))


@pytest.mark.parametrize("small, large", SIZES)
@pytest.mark.parametrize("classes", CLASS_COUNTS)
def test_on_a_plateau_the_first_class_wins(classes, small, large):
    for level in (-1e3, 0.0, 7.25):
        logits = np.full((classes, *small), level, np.float32)
        mask, confidence = upsampled_argmax_confidence(logits, large)
        assert not mask.any() and not upsampled_argmax(logits, large).any()
        assert np.abs(confidence - 255.0 / classes).max() <= 1


def test_two_classes_that_share_the_lead_everywhere_do_not_flicker():
    logits = make_logits(3, (10, 14), smooth=True)
    logits[2] = logits[1]
    assert 2 not in upsampled_argmax(logits, (75, 113))


def test_a_class_that_wins_no_corner_wins_between_them():
    # Halfway between the columns both winners of the corners are at 0.5, the third class still at 0.9.
    logits = np.zeros((3, 2, 2), np.float32)
    logits[0, :, 0] = logits[1, :, 1] = 1.0
    logits[2] = 0.9
    wanted, _, clear = reference(logits, (16, 16))
    mask = upsampled_argmax(logits, (16, 16))
    assert set(np.unique(mask)) == {0, 1, 2}
    assert np.array_equal(mask[clear], wanted[clear])


def test_a_class_that_wins_all_corners_narrowly_wins_between_them():
    # Each corner has another close second: the winner leads by 1e-3 there, and by more in the middle.
    logits = np.zeros((5, 2, 2), np.float32)
    logits[4] = 1.0
    for rival, (y, x) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1))):
        logits[rival, y, x] = 0.999
    wanted, _, _ = reference(logits, (64, 64))
    assert np.array_equal(upsampled_argmax(logits, (64, 64)), wanted)
    assert (wanted == 4).all()


def test_confidence_neither_overflows_nor_wraps():
    logits = np.zeros((3, 4, 4), np.float32)
    logits[1] = 3e4
    mask, confidence = upsampled_argmax_confidence(logits, (16, 16))
    assert (mask == 1).all() and (confidence == 255).all()
    mask, confidence = upsampled_argmax_confidence(-logits, (16, 16))
    assert (mask == 0).all() and (np.abs(confidence.astype(int) - 127) <= 1).all()


def test_all_255_class_ids_can_win():
    logits = np.zeros((255, 15, 17), np.float32)
    order = np.random.default_rng(0).permutation(255).reshape(15, 17)
    np.put_along_axis(logits, order[None], 1.0, axis=0)
    assert np.array_equal(upsampled_argmax(logits, (15, 17)), order)


def test_logits_are_read_where_they_lie():
    logits = make_logits(11, (12, 20))
    before = logits.copy()
    batch = np.zeros((2, 11, 12, 24), np.float32)
    batch[1, :, :, 2:22] = logits
    for function in (upsampled_argmax, lambda *a: upsampled_argmax_confidence(*a)[0]):
        assert np.array_equal(function(batch[1, :, :, 2:22], (90, 160)), function(logits, (90, 160)))
    assert np.array_equal(logits, before)
    logits.flags.writeable = False
    assert upsampled_argmax(logits, (90, 160)).shape == (90, 160)


@pytest.mark.parametrize("small, large", SIZES)
def test_probabilities_of_groups_are_sums_of_softmax(small, large):
    logits, groups = make_logits(6, small), np.array([2, 0, -1, 0, 1, 2])
    values = (
        F.interpolate(torch.from_numpy(logits)[None].double(), large, mode="bilinear", align_corners=False)[0]
        .softmax(0)
        .numpy()
    )
    sums = np.stack([values[groups == group].sum(0) for group in range(3)], 2)
    exact = upsampled_probabilities(logits, large, groups, 3, np.float32)
    rounded = upsampled_probabilities(logits, large, groups, 3, np.uint8)
    assert exact.shape == rounded.shape == (*large, 3) and (exact.dtype, rounded.dtype) == (
        np.float32,
        np.uint8,
    )
    assert np.abs(exact - sums).max() < 1e-5
    assert np.abs(rounded - 255 * sums).max() <= 0.51
    mask, confidence = upsampled_argmax_confidence(logits, large, groups)
    assert np.array_equal(mask, upsampled_argmax(logits, large))
    own = np.where(
        groups[mask] < 0,
        values[2],
        np.take_along_axis(sums, np.maximum(groups[mask], 0)[..., None], 2)[..., 0],
    )
    assert np.abs(confidence - 255 * own).max() <= 1
