# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Maps of motion: units and directions against examples by hand, and the network's own sampling."""

import numpy as np
import pytest
import torch

from dcfm_ros.model import alignment
from dcfm_ros.motion.maps import STILL, composed, explains, is_still, mean_length, moved, on_grid


def everywhere(size, x, y):
    """A map on a grid (h, w) with one offset."""
    return np.full((*size, 2), (x, y), np.float32)


@pytest.mark.parametrize(
    "offset, expected",
    [
        ((1, 0), [[2, 3, 3], [5, 6, 6], [8, 9, 9]]),  # what is here is one cell to the right there
        ((0, -1), [[1, 2, 3], [1, 2, 3], [4, 5, 6]]),  # one cell up; what lies outside is the border's
        ((0.5, 0), [[1.5, 2.5, 3], [4.5, 5.5, 6], [7.5, 8.5, 9]]),
        ((-9, 9), [[7, 7, 7]] * 3),
    ],
)
def test_a_picture_is_taken_from_where_the_map_says(offset, expected):
    picture = np.arange(1, 10, dtype=np.float32).reshape(3, 3)
    assert moved(picture, everywhere((3, 3), *offset)).tolist() == expected
    assert np.array_equal(moved(np.dstack([picture] * 4), everywhere((3, 3), *offset))[..., 3], expected)


def test_composed_looks_the_second_map_up_where_the_first_one_leads():
    first = np.float32([[[1, 0], [1, 0], [-1, 0], [-0.5, 0]]])  # to the columns 1, 2, 1 and 2.5
    second = np.float32([[[10, 1], [20, 2], [30, 3], [40, 4]]])
    assert composed(first, second).tolist() == [[[21, 2], [31, 3], [19, 2], [34.5, 3.5]]]


def test_composed_maps_move_as_one_after_the_other(inner):
    first, second = (everywhere((20, 24), x, y) for x, y in ((1.5, -2), (2, 1.25)))
    second[..., 0] += np.arange(24, dtype=np.float32) / 16  # stretches
    picture = np.dstack(np.meshgrid(np.arange(24, dtype=np.float32), np.arange(20, dtype=np.float32)))
    twice, once = moved(moved(picture, second), first), moved(picture, composed(first, second))
    assert np.abs(inner(twice - once, 6)).max() < 0.1  # positions are to the 32nd of a cell
    assert np.array_equal(composed(first, np.zeros_like(first)), first)
    assert np.array_equal(composed(np.zeros_like(first), second), second)


def test_on_a_smaller_grid_offsets_are_averages_in_its_cells():
    fine = np.zeros((4, 8, 2), np.float32)
    fine[:2, :2] = [[[8, 0], [4, 0]], [[8, 0], [0, 2]]]
    before = fine.copy()
    small = on_grid(fine, (2, 4))
    assert small.shape == (2, 4, 2) and small.dtype == np.float32 and small[0, 0].tolist() == [2.5, 0.25]
    assert (small[1:] == 0).all() and (small[:, 1:] == 0).all() and np.array_equal(fine, before)
    # what does not divide
    assert on_grid(everywhere((33, 42), 4, 4), (16, 21))[3, 3] == pytest.approx([2, 4 * 16 / 33])


def test_on_an_equal_grid_a_map_stays_as_it_is():
    motion = np.random.default_rng(0).normal(size=(6, 8, 2)).astype(np.float32)
    assert np.array_equal(on_grid(motion, (6, 8)), motion)


@pytest.mark.parametrize("size", [(11, 15), (6, 8)])
def test_the_network_samples_alike(size):
    rng = np.random.default_rng(1)
    motion, feature = (
        rng.normal(0, 3, (12, 16, 2)).astype(np.float32),
        rng.normal(size=(*size, 3)).astype(np.float32),
    )
    there = alignment.on_grid(torch.from_numpy(motion)[None], size)
    if size == (6, 8):
        assert there[0].numpy() == pytest.approx(on_grid(motion, size), abs=1e-5)
    found = alignment.aligned(torch.from_numpy(feature).permute(2, 0, 1)[None], there)
    expected = moved(feature, there[0].numpy())  # to the 32nd of a cell
    assert found[0].permute(1, 2, 0).numpy() == pytest.approx(expected, abs=0.15)


@pytest.mark.parametrize(
    "x, y, still", [(0, 0, True), (0.99, -0.99, True), (1, 0, False), (0, -1, False), (0, 1.01, False)]
)
def test_less_than_a_fraction_of_a_cell_is_no_motion(x, y, still):
    """One place that moves is enough."""
    motion = everywhere((4, 6), 0, 0)
    motion[2, 3] = np.float32(STILL) * np.float32([x, y])
    assert is_still(motion) == still


def test_only_a_map_that_makes_pictures_more_alike_explains(seen):
    here, there = (seen((24, 32), at) for at in ((3, 0), (0, 0)))

    def explained(other, x):
        return explains(here, other, moved(other, everywhere((24, 32), x, 0)))

    assert explained(there, 3) and explained(there, 2)
    assert not explained(there, -3) and not explained(there, 0)  # the other way; none at all
    for other in (np.zeros_like(here), np.full_like(here, 255)):  # nothing to be found there
        assert not explained(other, 3)


def test_mean_length():
    motion = everywhere((2, 2), 3, -4)
    motion[0] = 0
    assert mean_length(motion) == pytest.approx(2.5) and mean_length(everywhere((5, 3), 0, 0)) == 0.0
    assert mean_length(motion, (4, 3)) == pytest.approx(np.hypot(12, 12) / 2)
