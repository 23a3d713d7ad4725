# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Random crops: geometry common to images and labels, colours changed in images alone."""

import numpy as np
import pytest

from dcfm_ros.training.augment import AugmentConfig, augment
from dcfm_ros.training.augment import _recolor as recolor
from dcfm_ros.training.augment import _zoom as draw_zoom
from dcfm_ros.training.pairs import Pair

COLORLESS = {"color": 0, "color_labelled": 0, "color_neighbour": 0}
PLAIN = AugmentConfig(**COLORLESS)
PADDING = (124, 116, 104)


def pair_of(label, colors, neighbour_label="same"):
    image = colors[np.where(label == 255, 0, label)]
    return Pair(
        image, label, image.copy(), label.copy() if isinstance(neighbour_label, str) else neighbour_label
    )


@pytest.fixture
def label():
    """(120, 160): four quarters, a bar, no symmetry."""
    label = np.zeros((120, 160), np.uint8)
    label[50:], label[:, 90:] = 1, 2
    label[20:34, 100:150] = 3
    return label


def crops(pair, count, config=PLAIN, size=(64, 96)):
    rng = np.random.default_rng(0)
    return [augment(pair, *size, config, rng) for _ in range(count)]


def inner(label):
    """Where a pixel and all within 2 of it have one class: no interpolation between colours, even enlarged
    1.6 times."""
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(label, 2, constant_values=254), (5, 5))
    return (windows == label[..., None, None]).all((2, 3))


def test_images_and_labels_share_their_geometry(label, colors):
    for crop in crops(pair_of(label, colors), 20):
        assert crop.image.shape == (64, 96, 3) and crop.label.shape == (64, 96)
        assert crop.image.dtype == crop.label.dtype == np.uint8
        assert np.array_equal(crop.image, crop.neighbour) and np.array_equal(crop.label, crop.neighbour_label)
        palette = np.vstack([colors, np.zeros((251, 3)), [PADDING]])
        certain = inner(crop.label)
        assert certain.mean() > 0.4
        assert np.abs(crop.image - palette[crop.label])[certain].max() <= 2


def test_labels_are_a_subset_and_void_fills_the_outside(label, colors):
    for crop in crops(pair_of(label, colors), 20):
        assert set(np.unique(crop.label)) <= {0, 1, 2, 3, 255}
    small = crops(pair_of(label[:40, :50], colors), 5, AugmentConfig(max_zoom=0.7, **COLORLESS))
    assert all((crop.label == 255).mean() > 0.4 for crop in small)


def test_void_stays_void(label, colors):
    for crop in crops(pair_of(np.full_like(label, 255), colors), 5, AugmentConfig(rare_center=1)):
        assert (crop.label == 255).all()


def test_an_unlabelled_neighbour_stays_so(label, colors):
    assert crops(pair_of(label, colors, None), 1)[0].neighbour_label is None


def test_the_generator_determines_the_crop(label, colors):
    pair, config = pair_of(label, colors), AugmentConfig()
    first, second, third = (augment(pair, 64, 64, config, np.random.default_rng(seed)) for seed in (1, 1, 2))
    for name in ("image", "label", "neighbour", "neighbour_label"):
        assert np.array_equal(getattr(first, name), getattr(second, name))
    assert not np.array_equal(first.image, third.image)


def test_the_source_is_not_touched(label, colors):
    pair = pair_of(label, colors)
    before = pair.image.copy(), pair.label.copy()
    crops(pair, 5, AugmentConfig())
    assert np.array_equal(pair.image, before[0]) and np.array_equal(pair.label, before[1])


def test_colours_change_in_images_alone_and_a_little_between_frames(label, colors):
    pair = pair_of(label, colors)
    change = AugmentConfig(color=0.25, color_labelled=0.06, color_neighbour=0.06)
    for plain, colored in zip(crops(pair, 1), crops(pair, 1, change)):
        assert np.array_equal(plain.label, colored.label)
        between = np.abs(colored.image.astype(int) - colored.neighbour).mean()
        assert 0 < between < np.abs(plain.image.astype(int) - colored.image).mean()


def test_colours_may_change_in_one_frame_alone(label, colors):
    """As published for Cityscapes: jitter on the labelled frame only."""
    pair = pair_of(label, colors)
    (plain,) = crops(pair, 1)
    (colored,) = crops(pair, 1, AugmentConfig(color=0, color_labelled=0.3, color_neighbour=0))
    assert np.array_equal(colored.neighbour, plain.neighbour) and not np.array_equal(
        colored.image, plain.image
    )


def zooms(draw, low, high):
    rng, config = np.random.default_rng(0), AugmentConfig(low, high, draw)
    return np.sort([draw_zoom(config, rng) for _ in range(20000)])


@pytest.mark.parametrize("draw, middle", [("log", 1.0), ("linear", 1.25), ("crop", 0.8)])
def test_what_is_uniform_of_the_zoom(draw, middle):
    """Of zooms 0.5 to 2: the median is the geometric mean, the mean, and the harmonic mean."""
    found = zooms(draw, 0.5, 2.0)
    assert 0.5 <= found[0] < 0.501 and 1.99 < found[-1] <= 2
    assert np.median(found) == pytest.approx(middle, abs=0.02)


def test_square_crops_of_320_to_640_pixels():
    """CamVid as published: a crop of a side u to 640 pixels is a zoom of 640 / u."""
    sides = 640 / zooms("crop", 1.0, 2.0)
    assert sides[-1] == pytest.approx(320, abs=1) and sides[0] == pytest.approx(640, abs=1)
    assert np.mean(sides) == pytest.approx(480, abs=3)


def test_zoom_enlarges():
    label = np.zeros((100, 100), np.uint8)
    label[45:55, 45:55] = 1
    image = np.zeros((100, 100, 3), np.uint8)
    for zoom in (0.5, 2.0):
        config = AugmentConfig(zoom, zoom, stretch=0, rotation=0, rare_center=0)
        crop = augment(Pair(image, label, image, None), 200, 200, config, np.random.default_rng(0))
        assert np.sqrt(np.count_nonzero(crop.label == 1)) == pytest.approx(10 * zoom, abs=1)


def test_rotation_turns_both_frames_alike(label, colors):
    (crop,) = crops(pair_of(label, colors), 1, AugmentConfig(rotation=20, **COLORLESS))
    assert np.array_equal(crop.image, crop.neighbour) and np.array_equal(crop.label, crop.neighbour_label)


@pytest.mark.parametrize("size", [(480, 853), (66, 85)])
def test_crops_of_any_size(label, colors, size):
    (crop,) = crops(pair_of(label, colors), 1, size=size)
    assert crop.image.shape == (*size, 3) and crop.label.shape == size


def test_the_origin_is_kept(label, colors):
    pair = pair_of(label, colors)
    assert (
        crops(Pair(pair.image, pair.label, pair.neighbour, None, "set clip 3"), 1)[0].origin == "set clip 3"
    )


def test_rare_classes_are_looked_for(colors):
    label = np.zeros((360, 480), np.uint8)
    label[200:212, 400:416] = 3
    shares = [
        np.mean(
            [
                (crop.label == 3).any()
                for crop in crops(
                    pair_of(label, colors), 60, AugmentConfig(**COLORLESS, rare_center=share), (64, 64)
                )
            ]
        )
        for share in (0, 1)
    ]
    assert shares[0] < 0.2 and shares[1] > 0.4  # every other one is centred on the class drawn


@pytest.mark.parametrize("changes, message", [({"min_zoom": 2.0}, "zoom range 2.0..1.6")])
def test_bad_ranges_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        AugmentConfig(**changes)


def test_no_change_of_colour_is_the_identity():
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    image[0, :, :] = np.arange(50)[:, None] * 5
    for change in (np.zeros(6), np.full(6, 1e-9)):  # not darker by rounding either
        assert np.array_equal(recolor(image, change), image)
