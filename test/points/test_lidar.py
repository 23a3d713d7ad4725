# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Labels of a lidar's points: those of the pixels at which the camera sees them."""

import cv2
import numpy as np
import pytest
from points_helpers import (
    BOX,
    CAMERA,
    HEIGHT,
    WALL,
    WIDTH,
    cloud,
    colours,
    info,
    labels,
    places,
    records,
    scene,
    xyz,
)

from dcfm_ros.points.camera import Camera, read_camera
from dcfm_ros.points.cloud import read_cloud
from dcfm_ros.points.errors import PointsError
from dcfm_ros.points.labelling import label_lidar
from dcfm_ros.points.transform import Transform, from_quaternion, parse_transform

STILL = Transform(np.eye(3), np.zeros(3))
# A lidar (x forward, y left, z up) half a metre above the camera (z forward, x right, y down), a quarter
# behind.
LIDAR = parse_transform("0 -0.5 -0.25 0.5 -0.5 0.5 0.5")


def seen_by_lidar(xyz: np.ndarray) -> np.ndarray:
    """The camera's places in the lidar's frame, by hand."""
    x, y, z = np.moveaxis(xyz, -1, 0)
    return np.stack([z + 0.25, -x, -(y + 0.5)], axis=-1)


def labelled(
    xyz, mask, camera=CAMERA, to_camera=STILL, drop_outside=False, confidence=None, wanted=(), others=()
):
    """The cloud of points (N, 3) or (H, W, 3)."""
    points = records(
        np.atleast_3d(np.float32(xyz)) if np.ndim(xyz) == 3 else np.float32(xyz)[None], others=others
    )
    return label_lidar(
        read_cloud(cloud(points)), True, camera, to_camera, labels(mask, confidence, wanted), drop_outside
    )


def test_the_pose_of_the_lidar():
    points = seen_by_lidar(np.array([[1.0, 2.0, 3.0], [-4.0, 0.5, 8.0]]))
    np.testing.assert_allclose(np.transpose(LIDAR.apply(*points.T)), [[1, 2, 3], [-4, 0.5, 8]], atol=1e-15)


def test_a_plane_and_a_box():
    depth, mask = scene()
    points = seen_by_lidar(places(depth).reshape(-1, 3))
    order = np.random.default_rng(0).permutation(len(points))
    found = labelled(
        points[order], mask, to_camera=LIDAR, confidence=mask // 2, others=[("intensity", "<f4")]
    )
    np.testing.assert_array_equal(xyz(found.records)[0], points[order])  # in the lidar's own frame
    np.testing.assert_array_equal(found.records["label"][0], mask.ravel()[order])
    np.testing.assert_array_equal(found.records["rgb"][0], colours(mask.ravel()[order]))
    np.testing.assert_array_equal(found.records["confidence"][0], mask.ravel()[order] // 2)
    assert (
        found.records.shape == (1, len(points))
        and found.is_dense
        and "intensity" in found.records.dtype.names
    )


AT_EDGES = [  # u, v, depth; is it seen
    (-0.5, 0, 1, True),
    (-0.5625, 0, 1, False),
    (WIDTH - 0.5625, 0, 1, True),
    (WIDTH - 0.5, 0, 1, False),
    (0, -0.5, 1, True),
    (0, -0.5625, 1, False),
    (0, HEIGHT - 0.5625, 1, True),
    (0, HEIGHT - 0.5, 1, False),
    (3, 3, -1, False),
    (3, 3, 0, False),
    (np.nan, 3, 1, False),
    (3, 3, np.inf, False),
    (1e30, 3, 1, False),
]
PLACES = [((u - 3.5) / 4 * z, (v - 2.5) / 4 * z, z) for u, v, z, _ in AT_EDGES]
SEEN = np.array([seen for *_, seen in AT_EDGES])


def test_what_the_camera_cannot_see_is_unlabelled():
    mask = np.full((HEIGHT, WIDTH), WALL, np.uint8)
    found = labelled(PLACES, mask, confidence=mask)
    np.testing.assert_array_equal(found.records["label"][0], np.where(SEEN, WALL, 255))
    np.testing.assert_array_equal(found.records["confidence"][0], np.where(SEEN, WALL, 0))
    np.testing.assert_array_equal(xyz(found.records)[0], np.float32(PLACES))


def test_or_is_left_out_of_a_row_and_nan_in_rows():
    mask = np.full((HEIGHT, WIDTH), WALL, np.uint8)
    found = labelled(PLACES, mask, drop_outside=True, others=[("ring", "<u2")])
    np.testing.assert_array_equal(xyz(found.records)[0], np.float32(PLACES)[SEEN])
    assert (found.records["label"] == WALL).all() and found.is_dense
    whole = labelled(PLACES, mask, others=[("ring", "<u2")])
    np.testing.assert_array_equal(found.records["ring"][0], whole.records["ring"][0][SEEN])
    rows = np.float32([PLACES, PLACES])
    found = labelled(rows, mask, drop_outside=True)
    assert found.records.shape == rows.shape[:2] and not found.is_dense
    np.testing.assert_array_equal(xyz(found.records), np.where(SEEN[:, None], rows, np.nan))


def test_only_wanted_classes_stay():
    depth, mask = scene()
    points = places(depth)
    # the last is outside
    found = labelled(np.vstack([points.reshape(-1, 3), PLACES[-1:]]), mask, wanted=("box",))
    np.testing.assert_array_equal(xyz(found.records)[0], points[mask == BOX])
    found = labelled(points, mask, wanted=("box",))
    np.testing.assert_array_equal(xyz(found.records), np.where((mask == BOX)[..., None], points, np.nan))


def test_a_cloud_without_points_in_the_picture():
    found = labelled([(0, 0, -1.0)], np.zeros((HEIGHT, WIDTH), np.uint8), drop_outside=True)
    assert found.records.shape == (1, 0) and len(found.data) == 0


def test_a_mask_of_another_size_than_the_camera_info():
    """A pixel of this mask is two of the calibration's."""
    mask = np.arange(12, dtype=np.uint8).reshape(3, 4)
    points = places(np.ones((HEIGHT, WIDTH), np.float32)).reshape(-1, 3)
    np.testing.assert_array_equal(
        labelled(points, mask).records["label"].reshape(HEIGHT, WIDTH),
        mask.repeat(2, axis=0).repeat(2, axis=1),
    )


@pytest.mark.parametrize(
    "model, d",
    [
        ("plumb_bob", (-0.3, 0.1, 0.001, -0.002, 0.01)),
        ("rational_polynomial", (0.4, -0.2, 0.001, -0.0005, 0.01, 0.7, -0.1, 0.02)),
    ],
)
def test_distortion_is_opencvs(model, d):
    k = [60.0, 0.0, 31.0, 0.0, 62.0, 24.5, 0.0, 0.0, 1.0]
    camera = read_camera(info(width=64, height=48, model=model, d=d, k=k), rectified=False)
    points = np.random.default_rng(0).uniform((-1, -1, 2), (1, 1, 4), (200, 3))
    u, v = camera.project(*points.T)
    theirs = cv2.projectPoints(points, np.zeros(3), np.zeros(3), np.reshape(k, (3, 3)), np.array(d))[0][:, 0]
    np.testing.assert_allclose(np.transpose([u, v]), theirs, atol=1e-9)
    x, y = camera.rays()
    np.testing.assert_allclose(
        camera.project(x.astype(float), y.astype(float), np.ones_like(x)),
        np.mgrid[0:48, 0:64][::-1],
        atol=1e-4,
    )


def test_what_the_polynomial_folds_back_into_the_picture_is_not_seen():
    """r - 0.37 r^3 is 0 again at r = 1.64, in the middle of the picture."""
    camera = Camera(101, 101, 50.0, 50.0, 50.0, 50.0, distortion=(-0.37,) + (0.0,) * 7)
    limit = 1 / np.sqrt(3 * 0.37)
    radii = np.array([0, 0.5, limit - 1e-3, limit + 1e-3, 1.2, 1 / np.sqrt(0.37), 3])
    found = labelled([(r, 0, 1) for r in radii], np.zeros((101, 101), np.uint8), camera=camera)
    np.testing.assert_array_equal(found.records["label"][0] == 255, radii > limit)


def test_a_rectified_picture_has_p_and_no_distortion():
    camera = read_camera(
        info(d=(-0.3, 0.1, 0.0, 0.0, 0.0), p=[8.0, 0, 3.5, -2.0, 0, 8.0, 2.5, 1.0, 0, 0, 1, 0]),
        rectified=True,
    )
    u, v = camera.project(*np.array([[0.5, 0.25, 2.0]]).T)
    assert (u[0], v[0]) == (8 * 0.5 / 2 + 3.5 - 2 / 2, 8 * 0.25 / 2 + 2.5 + 1 / 2)
    camera = read_camera(info(), rectified=False)
    assert (camera, camera.distortion) == (CAMERA, ())
    # without distortion all are one
    assert read_camera(info(model="equidistant", d=(0.0,) * 4), rectified=False) == CAMERA


@pytest.mark.parametrize(
    "changes, what",
    [
        (dict(k=[0.0] * 9), "camera_info has focal lengths 0 and 0 in K, so the camera is not calibrated"),
        (
            dict(k=[4.0, 0, float("nan"), 0, 4.0, 2.5, 0, 0, 1]),
            "camera_info is not finite or beyond 1e.09 in K or D: calibrate the",
        ),
        (dict(k=[4.0, 0, 3.5, 0, -4.0, 2.5, 0, 0, 1]), "camera_info has focal lengths 4 and -4"),
        (dict(width=0), "camera_info is for 0×6 pixels"),
        (
            dict(model="equidistant", d=(0.1, 0, 0, 0)),
            "camera_info has distortion_model 'equidistant' with 4 coefficients: only plumb_bob",
        ),
        (
            dict(model="plumb_bob", d=(0.1,) * 8),
            "camera_info has distortion_model 'plumb_bob' with 8 coefficients",
        ),
        (dict(model="plumb_bob", d=(float("inf"),) * 5), "camera_info is not finite"),
        (dict(binning_x=2), "camera_info has binning or a region of interest"),
        (dict(roi=(1, 0, 4, 4)), "camera_info has binning or a region of interest"),
        (dict(roi=(0, 0, 4, 6)), "camera_info has binning or a region of interest"),
    ],
)
def test_calibrations_that_cannot_be_used(changes, what):
    with pytest.raises(PointsError, match=f"^{what}") as caught:
        read_camera(info(**changes), rectified=False)
    assert caught.value.kind == "camera"


def test_a_region_of_interest_that_is_all_of_the_image_is_none():
    assert read_camera(info(roi=(0, 0, WIDTH, HEIGHT), binning_x=1, binning_y=1), rectified=False) == CAMERA


@pytest.mark.parametrize(
    "text, what",
    [
        ("", "transform '': give seven numbers, 'x y z qx qy qz qw'"),
        ("1 2 3", "transform '1 2 3': give seven"),
        ("1 2 3 0 0 0 one", "transform '1 2 3 0 0 0 one': give seven"),
        ("0 0 0 0 0 0 1 0", "transform '0 0 0 0 0 0 1 0': give seven"),
        ("0 0 0 0 0 0 0", "transform 0 0 0 0 0 0 0 is not a translation x y z and a unit quaternion"),
        ("nan 0 0 0 0 0 1", "transform nan 0 0 0 0 0 1 is no"),
        ("0 0 0 1 0 0 1", "transform 0 0 0 1 0 0 1 is no"),
    ],
)
def test_transforms_that_are_none(text, what):
    with pytest.raises(PointsError, match=f"^{what}"):
        parse_transform(text)


def test_quaternions_are_turns():
    half = np.sqrt(0.5)
    quarter_about_z = from_quaternion((1, 2, 3), (0, 0, half, half))
    np.testing.assert_allclose(quarter_about_z.apply(1.0, 0.0, 0.0), (1, 3, 3), atol=1e-15)
    np.testing.assert_allclose(parse_transform("0,0,0,0,0,0,1.0005").rotation, np.eye(3), atol=1e-15)
