# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Labelled points of depth images: places to the bit, labels of known pixels."""

import math
from fractions import Fraction

import numpy as np
import pytest
from points_helpers import BOX, CAMERA, HEIGHT, WALL, WIDTH, colours, image, labels, places, scene, xyz

from dcfm_ros.points.camera import Camera
from dcfm_ros.points.errors import PointsError
from dcfm_ros.points.images import read_depth, read_mask
from dcfm_ros.points.labelling import class_table, label_depth


@pytest.mark.parametrize("padding", [0, 3])
@pytest.mark.parametrize(
    "kind, encoding", [("<u2", "16UC1"), (">u2", "16UC1"), ("<f4", "32FC1"), (">f4", "32FC1")]
)
def test_a_plane_and_a_box(kind, encoding, padding):
    depth, mask = scene()
    pixels = (depth * 1000 if encoding == "16UC1" else depth).astype(kind)
    found = label_depth(
        read_depth(image(pixels, encoding, padding)), CAMERA, labels(read_mask(image(mask, "mono8", padding)))
    )
    np.testing.assert_array_equal(xyz(found.records), places(depth))
    np.testing.assert_array_equal(found.records["label"], mask)
    np.testing.assert_array_equal(found.records["rgb"], colours(mask))
    assert (found.records.shape, found.is_dense) == ((HEIGHT, WIDTH), False)


def test_the_layout_is_what_rviz_and_pcl_read():
    depth, mask = scene()
    found = label_depth(depth, CAMERA, labels(mask, np.arange(mask.size, dtype=np.uint8).reshape(mask.shape)))
    assert [(f.name, f.offset, f.datatype, f.count) for f in found.fields] == [
        ("x", 0, 7, 1),
        ("y", 4, 7, 1),
        ("z", 8, 7, 1),
        ("rgb", 12, 7, 1),
        ("label", 16, 2, 1),
        ("confidence", 17, 2, 1),
    ]
    assert found.records.dtype.itemsize == 20 and len(found.data) == 20 * mask.size
    raw = np.frombuffer(found.data, np.uint8).reshape(-1, 20)
    pixel = 2 * WIDTH + 1  # the box's first: blue, green, red, and no alpha
    assert list(raw[pixel, 12:]) == [0, 128, 255, 0, BOX, pixel, 0, 0]
    assert [f.name for f in label_depth(depth, CAMERA, labels(mask)).fields] == [
        "x",
        "y",
        "z",
        "rgb",
        "label",
    ]


@pytest.mark.parametrize("millimetres", [1, 333, 999, 4097, 65535])
def test_millimetres_become_the_nearest_float(millimetres):
    depth = read_depth(image(np.full((1, 1), millimetres, np.uint16), "16UC1"))
    assert depth[0, 0] == np.float32(millimetres / 1000)


def test_no_depth_is_no_place_and_keeps_its_label():
    metres, mask = scene()
    metres[0, :5] = np.nan, np.inf, -np.inf, 0, -1
    found = label_depth(read_depth(image(metres, "32FC1")), CAMERA, labels(mask)).records
    assert np.isnan(xyz(found)[0, :5]).all() and np.isfinite(xyz(found)[0, 5:]).all()
    np.testing.assert_array_equal(found["label"], mask)
    assert np.isnan(read_depth(image(np.zeros((2, 2), np.uint16), "16UC1"))).all()


@pytest.mark.parametrize("size", [(3, 4), (6, 8), (12, 16), (5, 7), (1, 1), (13, 3)])
def test_labels_of_another_size_are_the_nearest_ones(size):
    """Compare with the definition, x' = (x + 1/2) w' / w - 1/2, in fractions."""
    mask = np.arange(HEIGHT * WIDTH, dtype=np.uint8).reshape(HEIGHT, WIDTH)
    nearest = [
        [
            math.floor((Fraction(2 * at + 1, 2) * there / count - Fraction(1, 2)) + Fraction(1, 2))
            for at in range(count)
        ]
        for count, there in zip(size, mask.shape)
    ]
    camera = Camera(size[1], size[0], 1.0, 1.0, 0.0, 0.0)
    found = label_depth(np.ones(size, np.float32), camera, labels(mask, 255 - mask)).records
    np.testing.assert_array_equal(found["label"], mask[np.ix_(*nearest)])
    np.testing.assert_array_equal(found["confidence"], 255 - mask[np.ix_(*nearest)])


def test_only_wanted_classes_keep_their_places():
    depth, mask = scene()
    found = label_depth(depth, CAMERA, labels(mask, wanted=("box",))).records
    np.testing.assert_array_equal(xyz(found)[mask == BOX], places(depth)[mask == BOX])
    assert np.isnan(xyz(found)[mask != BOX]).all()
    np.testing.assert_array_equal(found["label"], mask)


def test_classes_have_any_ids():
    table = class_table([(200, "b", (0, 0, 255)), (7, "a", (255, 0, 0))], ["a"])
    assert (table.colours[7], table.colours[200], table.colours[0], table.colours[255]) == (
        0xFF0000,
        0x0000FF,
        0x808080,
        0x808080,
    )
    assert list(np.flatnonzero(table.stays)) == [7] and not table.keeps_all
    assert class_table([(7, "a", (255, 0, 0))], []).keeps_all
    with pytest.raises(
        ValueError,
        match="^classes has 'raod', which the segmenter's palette has not: use some of lane, road$",
    ):
        class_table([(0, "road", (0, 0, 0)), (1, "lane", (0, 0, 0))], ["road", "raod"])


def test_the_second_camera_of_a_stereo_pair():
    """Its points are in the first one's frame: a baseline of half a metre to the right."""
    depth, mask = scene()
    camera = Camera(WIDTH, HEIGHT, 4.0, 4.0, 3.5, 2.5, tx=-2.0)
    found = label_depth(depth, camera, labels(mask)).records
    np.testing.assert_array_equal(xyz(found), places(depth) + np.float32([0.5, 0, 0]))
    u, v = camera.project(*(found[name].astype(float) for name in "xyz"))
    np.testing.assert_allclose(u, np.mgrid[0:HEIGHT, 0:WIDTH][1], atol=1e-6)
    np.testing.assert_allclose(v, np.mgrid[0:HEIGHT, 0:WIDTH][0], atol=1e-6)


def test_a_distorted_picture():
    """Each point is seen where its pixel is."""
    camera = Camera(
        64, 48, 60.0, 62.0, 31.0, 24.5, distortion=(-0.3, 0.1, 0.001, -0.002, 0.01, 0.0, 0.0, 0.0)
    )
    found = label_depth(
        np.full((48, 64), 3, np.float32), camera, labels(np.full((48, 64), WALL, np.uint8))
    ).records
    assert (found["z"] == 3).all() and abs(found["x"][0, 0] - (0 - 31.0) / 60 * 3) > 0.05
    u, v = camera.project(*(found[name].astype(float) for name in "xyz"))
    np.testing.assert_allclose((v, u), np.mgrid[0:48, 0:64], atol=1e-4)


def test_pixels_that_no_ray_leads_to_have_no_place():
    """This lens brings nothing farther from the middle than 0.63 focal lengths."""
    camera = Camera(101, 1, 50.0, 50.0, 50.0, 0.0, distortion=(-0.37, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0))
    found = label_depth(np.ones((1, 101), np.float32), camera, labels(np.zeros((1, 101), np.uint8))).records
    edge = (2 / 3) / np.sqrt(3 * 0.37)
    seen = abs(np.arange(101) - 50) / 50 < edge
    assert seen.sum() == 2 * int(edge * 50) + 1
    np.testing.assert_array_equal(np.isfinite(xyz(found)), np.repeat(seen[None, :, None], 3, axis=2))


@pytest.mark.parametrize(
    "read, changes, kind, what",
    [
        (
            read_mask,
            dict(encoding="rgb8"),
            "encoding",
            "mask has encoding 'rgb8': publish it as mono8 or 8UC1",
        ),
        (
            read_depth,
            dict(encoding="mono8"),
            "encoding",
            "depth image has encoding 'mono8': publish it as 16UC1 or 32FC1",
        ),
        (read_mask, dict(height=0), "size", "mask is 8×0 pixels"),
        (read_mask, dict(step=7), "data", "mask has step 7, but a row of 8 pixels of mono8 has 8 bytes"),
        (read_mask, dict(height=7), "data", "mask has 48 bytes of data, but height × step is 56"),
        (
            read_depth,
            dict(encoding="32FC1"),
            "data",
            "depth image has step 8, but a row of 8 pixels of 32FC1 has 32 bytes",
        ),
    ],
)
def test_pictures_that_cannot_be_used(read, changes, kind, what):
    with pytest.raises(PointsError, match=f"^{what}") as caught:
        read(image(np.zeros((6, 8), np.uint8), "mono8", **changes))
    assert caught.value.kind == kind


def test_sizes_that_do_not_fit():
    depth, mask = scene()
    with pytest.raises(
        PointsError, match="^camera_info is for 640×480 pixels, but the depth image is 8×6: set info_topic"
    ) as caught:
        label_depth(depth, Camera(640, 480, 1.0, 1.0, 0.0, 0.0), labels(mask))
    assert caught.value.kind == "camera"
    with pytest.raises(PointsError, match="^confidence is 8×5 pixels, but the mask is 8×6"):
        labels(mask, mask[1:])
