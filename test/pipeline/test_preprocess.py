# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Preprocessing: camera image to network input."""

import cv2
import numpy as np
import pytest

from dcfm_ros.pipeline.frames import Frame
from dcfm_ros.pipeline.preprocess import network_input, shrunk

SIZES = [
    ((60, 90), (60, 90)),
    ((60, 90), (24, 40)),
    ((60, 90), (120, 160)),
    ((60, 90), (48, 120)),
    ((61, 93), (32, 48)),
    ((1, 1), (32, 32)),
    ((1, 900), (32, 96)),
    ((900, 1), (96, 32)),
    ((2, 2), (32, 64)),
    ((31, 33), (32, 32)),
]


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def rgb(image):
    return Frame("", 0, image)


def bgr(image):
    return Frame("", 0, image, is_bgr=True)


@pytest.mark.parametrize("camera, network", SIZES)
def test_result_is_contiguous_rgb_of_the_wanted_size(camera, network):
    for frame in (rgb(noise(*camera)), bgr(noise(*camera))):
        result = network_input(frame, network)
        assert result.shape == (*network, 3) and result.dtype == np.uint8 and result.flags.c_contiguous


@pytest.mark.parametrize("camera, network", SIZES)
def test_channel_order_of_the_camera_does_not_matter(camera, network):
    image = noise(*camera)
    swapped = np.ascontiguousarray(image[..., ::-1])
    assert np.array_equal(network_input(bgr(swapped), network), network_input(rgb(image), network))


def test_nothing_is_copied_where_nothing_is_to_do():
    image = noise(60, 90)
    assert np.shares_memory(network_input(rgb(image), (60, 90)), image)


@pytest.mark.parametrize("make", [rgb, bgr])
@pytest.mark.parametrize("camera, network", SIZES)
def test_gaps_between_rows_and_read_only_memory_are_taken(make, camera, network):
    padded = np.zeros((camera[0], camera[1] + 7, 3), np.uint8)
    image = noise(*camera)
    padded[:, : camera[1]] = image
    padded.flags.writeable = False
    result = network_input(make(padded[:, : camera[1]]), network)
    assert result.flags.c_contiguous
    assert np.array_equal(result, network_input(make(image), network))


def test_the_cameras_image_is_left_as_it_is():
    image = noise(60, 90)
    before = image.copy()
    for network in ((60, 90), (32, 48)):
        network_input(rgb(image), network)
        network_input(bgr(image), network)
    assert np.array_equal(image, before)


def test_shrinking_averages_and_an_even_picture_stays_even():
    checkers = np.zeros((64, 64, 3), np.uint8)
    checkers[::2, ::2] = checkers[1::2, 1::2] = 200
    assert np.abs(network_input(rgb(checkers), (32, 32)).astype(int) - 100).max() <= 1
    even = np.full((50, 70, 3), (10, 20, 30), np.uint8)
    for network in ((32, 48), (96, 128)):
        assert (network_input(rgb(even), network) == (10, 20, 30)).all()


def test_of_a_strip_one_side_is_averaged_and_the_other_enlarged():
    strip = np.zeros((1, 1600, 3), np.uint8)
    strip[:, 1::2] = (200, 100, 60)  # every other column: picking some would show one colour or the other
    result = network_input(bgr(strip), (32, 160))
    assert np.abs(result.astype(int) - (30, 50, 100)).max() <= 1


@pytest.mark.parametrize(
    "camera, network",
    [
        ((360, 480), (352, 480)),
        ((1080, 1920), (320, 576)),
        ((61, 93), (32, 48)),
        ((64, 96), (32, 32)),
        ((7, 5), (1, 1)),
        ((33, 50), (32, 50)),
        ((480, 853), (320, 576)),
    ],
)
def test_shrinking_is_opencvs_but_for_rounding(camera, network):
    image = cv2.GaussianBlur(noise(*camera), (0, 0), 1.5)
    wanted = cv2.resize(image, network[::-1], interpolation=cv2.INTER_AREA).astype(int)
    for small in (shrunk(image, network), shrunk(image, network, swap=True)[..., ::-1]):
        assert np.abs(small - wanted).max() <= 1
        if camera[1] % network[1]:  # else every few values lie just between two
            assert (small != wanted).mean() < 0.01
    assert (shrunk(np.full((*camera, 3), 255, np.uint8), network) == 255).all()
