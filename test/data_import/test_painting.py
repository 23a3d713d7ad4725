# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Polygons become pixels, those whose centres lie inside."""

import cv2
import numpy as np
import pytest

from dcfm_ros.data_import.export import LabelledImage, Shape
from dcfm_ros.data_import.painting import fill_polygon, paint


def filled(*rings, size=(8, 10)) -> np.ndarray:
    label = np.zeros(size, np.uint8)
    fill_polygon(label, [np.array(ring, float) for ring in rings], 1)
    return label


def by_centres(ring, size) -> np.ndarray:
    """The same by OpenCV, pixel by pixel."""
    contour = np.array(ring, np.float32).reshape(-1, 1, 2)
    rows, columns = np.indices(size)
    inside = [
        cv2.pointPolygonTest(contour, (column + 0.5, row + 0.5), False) > 0
        for row, column in zip(rows.ravel().tolist(), columns.ravel().tolist())
    ]
    return np.reshape(inside, size).astype(np.uint8)


def test_a_rectangle():
    expected = np.zeros((8, 10), np.uint8)
    expected[2:5, 3:7] = 1
    np.testing.assert_array_equal(filled([(3, 2), (7, 2), (7, 5), (3, 5)]), expected)
    np.testing.assert_array_equal(filled([(2.6, 1.6), (7.4, 1.6), (7.4, 5.4), (2.6, 5.4)]), expected)


@pytest.mark.parametrize("seed", range(5))
def test_any_polygon_has_the_pixels_whose_centres_lie_inside(seed):
    draw = np.random.default_rng(seed)
    angles = np.sort(draw.uniform(0, 2 * np.pi, 9))
    radii = draw.uniform(3, 25, 9)  # reaches out of the picture
    ring = np.stack([15 + radii * np.cos(angles), 12 + radii * np.sin(angles)], 1)
    np.testing.assert_array_equal(filled(ring, size=(24, 30)), by_centres(ring, (24, 30)))


def test_a_ring_within_another_is_a_hole():
    outer, inner = [(1, 1), (8, 1), (8, 7), (1, 7)], [(3, 3), (3, 5), (6, 5), (6, 3)]
    label = filled(outer, inner)
    assert label[3:5, 3:6].sum() == 0 and label.sum() == 7 * 6 - 3 * 2


def test_polygons_side_by_side_leave_no_gap_and_do_not_overlap():
    left, right = [(0, 0), (4.3, 0), (5.8, 8), (0, 8)], [(4.3, 0), (10, 0), (10, 8), (5.8, 8)]
    np.testing.assert_array_equal(filled(left) + filled(right), np.ones((8, 10), np.uint8))


@pytest.mark.parametrize("ring", [[(20, 1), (30, 1), (30, 5)], [(1, 1.6), (9, 1.7), (5, 1.9)], [(1, 1)] * 3])
def test_outside_and_too_thin(ring):
    assert filled(ring).sum() == 0


def test_higher_and_later_shapes_lie_above():
    def square(label, left, z_order):
        return Shape(
            label, (np.array([(left, 0), (left + 4, 0), (left + 4, 2), (left, 2)]),), z_order=z_order
        )

    def mask():
        return np.pad(np.ones((2, 1), bool), ((0, 0), (9, 0)))

    shapes = square("a", 2, 1), square("b", 0, 0), square("c", 4, 1), Shape("none", mask=mask)
    label = paint(LabelledImage("x", None, shapes), (2, 10), {"a": 0, "b": 1, "c": 2, "none": 255}, fill=7)
    assert label[0].tolist() == [1, 1, 0, 0, 2, 2, 2, 2, 7, 255]
