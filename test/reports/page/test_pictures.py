# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Panels stand next to each other, with their masks, at even sizes."""

import numpy as np
import pytest

from dcfm_ros.model.class_map import palette_table
from dcfm_ros.pipeline.overlay import blend
from dcfm_ros.reports.page.pictures import side_by_side

TABLE = palette_table({0: (250, 0, 0), 1: (0, 250, 0)})


def scene(height=61, width=97):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (height, width, 3), np.uint8), rng.integers(0, 2, (height, width), np.uint8)


def test_each_panel_shows_its_mask():
    image, mask = scene()
    picture = side_by_side(image, [("DCFM", mask), ("label", 1 - mask)], TABLE, alpha=0.5)
    assert picture.shape[0] % 2 == 0 and picture.shape[1] % 2 == 0 and picture.dtype == np.uint8
    places = np.lib.stride_tricks.sliding_window_view(picture, (61, 97, 3))[:, :, 0]
    ((top, left),) = np.argwhere((places == blend(image, mask, TABLE, 0.5)).all((2, 3, 4))).tolist()
    ((same, right),) = np.argwhere((places == blend(image, 1 - mask, TABLE, 0.5)).all((2, 3, 4))).tolist()
    assert top == same > 0 and left == 0 and right > 97


def test_titles_differ():
    image, mask = scene()
    picture = side_by_side(image, [("DCFM", mask), ("per frame", mask)], TABLE)
    assert (picture[:20, :97] != picture[:20, -97:]).any()


def test_a_missing_mask_keeps_its_panel():
    image, mask = scene()
    whole = side_by_side(image, [("DCFM", mask), ("label", mask)], TABLE)
    missing = side_by_side(image, [("DCFM", mask), ("label", None)], TABLE)
    assert missing.shape == whole.shape and (missing[:, :97] == whole[:, :97]).all()
    assert any((missing[top : top + 61, 103:200] == image).all() for top in range(20, 40))


def test_large_images_are_made_smaller_with_their_classes_whole():
    image, _ = scene(540, 960)
    mask = np.zeros((540, 960), np.uint8)
    mask[:, 480:] = 1
    picture = side_by_side(image, [("DCFM", mask)], TABLE, alpha=1.0, panel_width=320)
    assert picture.shape[1] == 320
    # no mixtures
    assert {tuple(pixel) for pixel in picture[60:200].reshape(-1, 3).tolist()} == {(250, 0, 0), (0, 250, 0)}


def test_bad_masks_are_refused():
    image, mask = scene()
    with pytest.raises(ValueError, match="there are no masks; give at least one"):
        side_by_side(image, [], TABLE)
    with pytest.raises(
        ValueError, match=r"mask 'label' has shape \(60, 97\); give \(61, 97\), the size of the image"
    ):
        side_by_side(image, [("DCFM", mask), ("label", mask[:-1])], TABLE)
