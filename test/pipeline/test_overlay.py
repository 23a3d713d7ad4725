# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Masks as colours over the picture."""

import time

import numpy as np
import pytest

from dcfm_ros.model.class_map import palette_table
from dcfm_ros.pipeline.overlay import blend

COLORS = [(200, 10, 30), (0, 255, 0), (64, 64, 200)]
TABLE = palette_table(dict(enumerate(COLORS)))


def scene(height=30, width=40):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    mask = rng.integers(0, 3, (height, width), dtype=np.uint8)
    mask[:5] = 255
    return image, mask


@pytest.mark.parametrize("size", [(1, 1), (1, 400), (400, 1), (2, 2)])
def test_pictures_of_few_pixels(size):
    image, table = np.full((*size, 3), 100, np.uint8), TABLE
    assert (blend(image, np.zeros(size, np.uint8), table, 1.0) == COLORS[0]).all()
    assert np.array_equal(blend(image, np.full(size, 255, np.uint8), table, 1.0), image)


def test_table_has_a_colour_for_every_mask_value():
    table = TABLE
    assert table.shape == (256, 3) and table.dtype == np.uint8
    assert [tuple(row) for row in table[:3]] == COLORS
    assert not table[3:].any()


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.5, 1.0])
def test_blend_is_the_weighted_mean(alpha):
    image, mask = scene()
    before = image.copy()
    result = blend(image, mask, TABLE, alpha)
    assert result.dtype == np.uint8
    wanted = (1 - alpha) * image + alpha * TABLE[mask]
    assert np.abs(result[5:] - wanted[5:]).max() <= 0.51  # rounding
    assert np.array_equal(result[:5], image[:5])  # unlabelled
    assert np.array_equal(image, before)


def test_images_with_gaps_in_memory_are_taken():
    image, mask = scene()
    table = TABLE
    wanted = blend(image, mask, table, 0.5)
    assert np.array_equal(blend(image[..., ::-1].copy()[..., ::-1], mask, table, 0.5), wanted)
    assert np.array_equal(blend(image[:, ::2], mask[:, ::2], table, 0.5), wanted[:, ::2])


def test_blend_is_fast():
    image, mask = np.zeros((360, 480, 3), np.uint8), np.zeros((360, 480), np.uint8)
    table, times = TABLE, []
    for _ in range(20):
        start = time.perf_counter()
        blend(image, mask, table, 0.5)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.01  # 0.0012 was measured; ten times that would spoil a camera's frame rate


@pytest.mark.parametrize(
    "change, message",
    [
        ({"image": np.zeros((30, 40), np.uint8)}, r"image has shape \(30, 40\)"),
        ({"image": np.zeros((30, 40, 3))}, "image has .* type float64"),
        (
            {"mask": np.zeros((30, 41), np.uint8)},
            r"mask has shape \(30, 41\).*give \(30, 40\) uint8, the size",
        ),
        ({"mask": np.zeros((30, 40), np.int64)}, "mask has .* type int64"),
        ({"table": np.zeros((3, 3), np.uint8)}, "table has .*make it with palette_table"),
        ({"alpha": 1.5}, "alpha is 1.5; give a weight from 0 to 1"),
    ],
)
def test_bad_input_is_refused(change, message):
    image, mask = scene()
    arguments = {"image": image, "mask": mask, "table": TABLE, "alpha": 0.5} | change
    with pytest.raises(ValueError, match=message):
        blend(**arguments)
