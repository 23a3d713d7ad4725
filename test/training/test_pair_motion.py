# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The motion of a pair: in cells of a quarter's grid, both ways, and for a share of pairs."""

import cv2
import numpy as np
import pytest

from dcfm_ros.training import pair_motion
from dcfm_ros.training.pair_motion import with_motion
from dcfm_ros.training.pairs import Pair


def pair_of(x, y, size=(96, 128)):
    """What is at p in the image is at p + (x, y) in the neighbour."""
    rng = np.random.default_rng(0)
    scene = sum(
        cv2.GaussianBlur(rng.normal(size=(size[0] + 80, size[1] + 80, 3)), (0, 0), sigma) * 3.5 * sigma
        for sigma in (3, 12)
    )
    scene = np.clip(128 + 35 * scene, 0, 255).astype(np.uint8)
    image, neighbour = (
        scene[40 - b : 40 - b + size[0], 40 - a : 40 - a + size[1]].copy() for a, b in ((0, 0), (x, y))
    )
    return Pair(image, np.zeros(size, np.uint8), neighbour, None, "made up")


@pytest.mark.parametrize("x, y", [(8, 0), (-8, 4), (0, -8)])
def test_a_shift_of_8_pixels_is_2_cells_forth_and_back(x, y):
    motion = with_motion(pair_of(x, y), 1.0, np.random.default_rng(0)).motion
    assert motion.shape == (2, 24, 32, 2) and motion.dtype == np.float32
    forth, back = np.median(motion[:, 4:-4, 4:-4], axis=(1, 2))
    assert forth == pytest.approx([x / 4, y / 4], abs=0.1) and back == pytest.approx(
        [-x / 4, -y / 4], abs=0.1
    )


def test_all_else_stays_and_the_same_draws_give_the_same():
    pair = pair_of(8, 0)
    one, other = (with_motion(pair, 0.5, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(one.motion, other.motion) and pair.motion is None
    names = ("image", "label", "neighbour", "neighbour_label", "origin")
    assert all(getattr(one, name) is getattr(pair, name) for name in names)


@pytest.mark.parametrize("share", [0.5, 1.0, 0.0])
def test_a_share_of_pairs_moves(share):
    pair, rng = pair_of(8, 0, (32, 32)), np.random.default_rng(0)
    motions = [with_motion(pair, share, rng).motion for _ in range(200)]
    moving = [motion.any() for motion in motions]
    assert all(motion.shape == (2, 8, 8, 2) for motion in motions) and abs(np.mean(moving) - share) < 0.1
    assert share == 0.5 or set(moving) == {share == 1.0}


def test_the_estimator_is_that_of_the_live_pipeline(monkeypatch):
    class Constant:
        def flow(self, here, there):
            return np.full((*here.shape, 2), (4, 0) if np.array_equal(here, first) else (-4, 0), np.float32)

    pair = pair_of(8, 0)
    first = pair_motion.View.of(pair.image).grey
    monkeypatch.setattr(pair_motion, "DenseInverseSearch", Constant)
    motion = with_motion(pair, 1.0, np.random.default_rng(0)).motion
    assert (motion[0] == (2, 0)).all() and (motion[1] == (-2, 0)).all()


@pytest.mark.parametrize("size", [(66, 85), (97, 66)])
def test_crops_need_not_be_multiples_of_4(size):
    motion = with_motion(pair_of(8, 0, size), 1.0, np.random.default_rng(0)).motion
    assert motion.shape == (2, size[0] // 4, size[1] // 4, 2)
    assert np.median(motion[0, 4:-4, 4:-4, 0]) == pytest.approx(2, abs=0.1)


def test_what_does_not_explain_the_other_picture_is_no_motion():
    pair = pair_of(8, 0)
    pair.neighbour[:] = 0
    assert not with_motion(pair, 1.0, np.random.default_rng(0)).motion.any()
