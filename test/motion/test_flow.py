# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Motion between two pictures: right to a fraction of a cell of a quarter's grid, and none where it explains
nothing."""

import numpy as np
import pytest

from dcfm_ros.motion.flow import DenseInverseSearch, View, flow_map

NETWORK, SMALL, LEAST = (352, 480), (64, 96), (32, 32)


class Constant:
    """An estimator of one motion, in pixels of what it is given."""

    def __init__(self, x, y):
        self.offset, self.asked = (x, y), []

    def flow(self, here, there):
        self.asked.append((here, there))
        return np.full((*here.shape, 2), self.offset, np.float32)


def test_a_view_is_half_the_size_in_grey_and_a_quarter_in_colour():
    image = np.zeros((64, 96, 3), np.uint8)
    image[:, :48] = (255, 0, 0)
    image[0, 0] = 0  # of 16 pixels one
    view = View.of(image)
    assert view.grey.shape == (32, 48) and view.picture.shape == (16, 24, 3)
    assert view.grey.dtype == view.picture.dtype == np.uint8 and view.nbytes == 32 * 48 + 16 * 24 * 3
    assert view.grey[1, 1] == 76 and view.grey[1, 24] == 0  # red counts 0.299
    assert view.picture[1, 1].tolist() == [255, 0, 0] and abs(int(view.picture[0, 0, 0]) - 239) <= 1
    assert View.of(image[:, :85]).picture.shape == (16, 21, 3)


@pytest.mark.parametrize(
    "size, at",
    [
        *((NETWORK, at) for at in ((0.5, 0), (0, -1), (2, 1), (-8, 3), (12, -12), (20, 0))),
        *((SMALL, at) for at in ((0.5, 0), (0, -1), (2, 1), (-8, 3), (12, 0))),
        *((LEAST, at) for at in ((0, 1), (2, 1), (4, 0))),
    ],
)
def test_a_shift_is_found_to_a_fraction_of_a_cell(seen, inner, size, at):
    """What is at p here is at p + at there: a quarter of `at` in cells of the map, away from where things
    come in."""
    found = flow_map(DenseInverseSearch(), View.of(seen(size, at)), View.of(seen(size)))
    assert found.shape == (size[0] // 4, size[1] // 4, 2) and found.dtype == np.float32
    error = np.abs(inner(found, 3 if size == LEAST else 6) - np.float32(at) / 4)
    assert error.mean() < 0.06 and np.quantile(error, 0.95) < 0.15 and error.max() < 0.5


@pytest.mark.parametrize("size", [(32, 224), (224, 32), (32, 192), (64, 2048), (48, 200)])
def test_a_shift_along_a_strip_is_found(seen, size):
    """OpenCV's search reads beyond such pictures, and ends the process or finds what lies there."""
    at = (4, 0) if size[1] > size[0] else (0, 4)
    here, there = (View.of(seen(size, shift)).grey for shift in (at, (0, 0)))
    found = DenseInverseSearch().flow(here, there)
    assert found.shape == (size[0] // 2, size[1] // 2, 2) and np.isfinite(found).all()
    assert np.median(found, axis=(0, 1)) == pytest.approx(np.float32(at) / 2, abs=0.25)


def test_a_thing_that_has_come_from_the_left_was_to_the_left(inner):
    """By hand: 8 pixels to the right and 4 down are 2 cells and 1, from the newer frame to the older with a
    minus."""
    rng = np.random.default_rng(3)
    older = np.full((96, 128, 3), 90, np.uint8)
    newer = older.copy()
    thing = rng.integers(0, 256, (12, 12, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
    older[24:72, 32:80], newer[28:76, 40:88] = thing, thing
    found = flow_map(DenseInverseSearch(), View.of(newer), View.of(older))
    assert np.median(found[9:17, 12:20], axis=(0, 1)) == pytest.approx([-2, -1], abs=0.15)
    assert np.abs(found[:, -4:]).max() < 0.5  # far from it nothing moves


def test_estimators_are_replaceable_and_see_both_pictures_in_grey(seen):
    estimator, here, there = Constant(4, -2), View.of(seen(SMALL, (8, -4))), View.of(seen(SMALL))
    found = flow_map(estimator, here, there)
    assert found.shape == (16, 24, 2) and (found == (2, -1)).all()
    ((one, other),) = estimator.asked
    assert np.array_equal(one, here.grey) and np.array_equal(other, there.grey)


@pytest.mark.parametrize("offset", [(0, 0), (-4, 2), (16, 16)])
def test_what_explains_nothing_is_no_motion(seen, offset):
    found = flow_map(Constant(*offset), View.of(seen(SMALL, (8, -4))), View.of(seen(SMALL)))
    assert found.shape == (16, 24, 2) and (found == 0).all()


@pytest.mark.parametrize("size", [NETWORK, SMALL, LEAST])
@pytest.mark.parametrize("level", [0, 255])
def test_there_is_no_motion_from_and_to_a_picture_of_nothing(seen, size, level):
    scene, nothing = View.of(seen(size, noise=3)), View.of(np.full((*size, 3), level, np.uint8))
    for here, there in ((scene, nothing), (nothing, scene), (nothing, nothing), (scene, scene)):
        assert (flow_map(DenseInverseSearch(), here, there) == 0).all()
