# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Neighbours of stills: exact labels in both frames, pasted objects of movable classes only."""

import numpy as np
import pytest

from dcfm_ros.sources.clips import open_clips
from dcfm_ros.training.warping import MovedStills


@pytest.fixture
def clips(stills):
    return open_clips(str(stills)).clips


def draw(source, count, seed=0):
    rng = np.random.default_rng(seed)
    return [source.pair(source.stills[int(rng.integers(len(source.stills)))], rng) for _ in range(count)]


def test_labels_fit_both_images(clips, colors):
    seen = []
    for image, label, neighbour, neighbour_label in draw(MovedStills(clips, movable=(3,)), 40):
        for picture, classes in ((image, label), (neighbour, neighbour_label)):
            assert (
                picture.shape == (64, 96, 3)
                and classes.shape == (64, 96)
                and picture.dtype == classes.dtype == np.uint8
            )
            assert set(np.unique(classes)) <= {0, 1, 2, 3, 255}
            nearest = np.abs(picture[:, :, None].astype(int) - colors).sum(3).argmin(2)
            assert np.mean((nearest == classes)[classes != 255]) > 0.95
        seen.append(np.mean(label != neighbour_label))
    assert 0 < np.mean(seen) < 0.3


def test_the_generator_determines_a_pair(clips):
    one, other = (draw(MovedStills(clips, movable=(2, 3)), 5) for _ in range(2))
    assert all(np.array_equal(a, b) for pair, same in zip(one, other) for a, b in zip(pair, same))
    assert not np.array_equal(one[0][0], draw(MovedStills(clips, movable=(2, 3)), 1, seed=1)[0][0])


def test_what_a_clip_hands_out_is_not_written_to(clips):
    """Clips may keep what they read."""

    class Kept:
        length = 1

        def __init__(self, clip):
            self.picture, self.classes = clip.image(0), clip.label(0)
            self.picture.flags.writeable = self.classes.flags.writeable = False

        def image(self, index):
            return self.picture

        def label(self, index):
            return self.classes

    assert len(draw(MovedStills([Kept(clip) for clip in clips], movable=(3,)), 10)) == 10


def test_only_movable_classes_are_pasted(clips):
    tree = [
        np.mean([np.mean(label == 2) for _, label, _, _ in draw(MovedStills(clips, movable), 60)])
        for movable in ((), (2,))
    ]
    assert tree[1] > 1.1 * tree[0]


def test_a_larger_radius_moves_more(clips):
    moved = [
        np.mean([np.mean(a != b) for _, a, _, b in draw(MovedStills(clips, radius=radius), 40)])
        for radius in (1, 8)
    ]
    assert moved[1] > 2 * moved[0]
