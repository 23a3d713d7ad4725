# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Calibration files as camera_calibration and camera_calibration_parsers write them."""

import numpy as np
import pytest
import yaml

from dcfm_ros.ros.calibration import info_topic, read_calibration, uncalibrated

WRITTEN = """\
image_width: 640
image_height: 480
camera_name: narrow_stereo
camera_matrix:
  rows: 3
  cols: 3
  data: [ 415.12614,    0.     ,  330.66523,
            0.     ,  410.49986,  230.46015,
            0.     ,    0.     ,    1.     ]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [-0.017697, -0.00727, 1e-05, -1.39e-04, 0]
rectification_matrix:
  rows: 3
  cols: 3
  data: [ 1.,  0.,  0.,
          0.,  1.,  0.,
          0.,  0.,  1.]
projection_matrix:
  rows: 3
  cols: 4
  data: [ 400.5    ,    0.     ,  331.     ,  -20.25   ,
            0.     ,  402.25   ,  229.5    ,    0.     ,
            0.     ,    0.     ,    1.     ,    0.     ]
"""


@pytest.fixture
def write(tmp_path):
    """Write a file, its entries changed: those given None are left out."""

    def write(**changes):
        entries = {**yaml.safe_load(WRITTEN), **changes}
        path = tmp_path / "camera.yaml"
        path.write_text(yaml.safe_dump({name: value for name, value in entries.items() if value is not None}))
        return path

    return write


def matrix(rows, columns, data):
    return {"rows": rows, "cols": columns, "data": data}


def test_every_number_of_a_file(tmp_path):
    path = tmp_path / "camera.yaml"
    path.write_text(WRITTEN)
    for url in (str(path), f"file://{path}"):
        info = read_calibration(url)
        assert (info.width, info.height, info.distortion_model) == (640, 480, "plumb_bob")
        # of which YAML 1.1 takes the third for text
        assert list(info.d) == [-0.017697, -0.00727, 1e-5, -1.39e-4, 0.0]
        np.testing.assert_array_equal(info.k, [415.12614, 0, 330.66523, 0, 410.49986, 230.46015, 0, 0, 1])
        np.testing.assert_array_equal(info.r, np.eye(3).ravel())
        np.testing.assert_array_equal(info.p, [400.5, 0, 331, -20.25, 0, 402.25, 229.5, 0, 0, 0, 1, 0])
        assert (info.binning_x, info.binning_y, info.roi.width) == (0, 0, 0)


@pytest.mark.parametrize("model, count", [("plumb_bob", 5), ("rational_polynomial", 8), ("equidistant", 4)])
def test_distortion_models(write, model, count):
    numbers = [0.1 * number for number in range(count)]
    for shape in ((1, count), (count, 1)):  # which of both depends on who wrote the file
        info = read_calibration(
            str(write(distortion_model=model, distortion_coefficients=matrix(*shape, numbers)))
        )
        assert info.distortion_model == model and list(info.d) == numbers


def test_a_file_from_before_there_were_models(write):
    assert read_calibration(str(write(distortion_model=None))).distortion_model == "plumb_bob"


IDENTITY = [1, 0, 0, 0, 1, 0, 0, 0, 1]


@pytest.mark.parametrize(
    "changes, what",
    [
        (dict(image_width=None), "image_width is missing: it is a whole number of pixels above 0"),
        (dict(image_height="480"), "image_height is '480'"),
        (dict(image_width=True), "image_width is True"),
        (dict(image_height=-480), "image_height is -480"),
        (dict(camera_matrix=None), "camera_matrix is missing: it has rows, cols and data"),
        (dict(camera_matrix=IDENTITY), "camera_matrix is no matrix"),
        (dict(camera_matrix=matrix(3, 4, IDENTITY)), "camera_matrix is 3x4: it must be 3x3"),
        (dict(camera_matrix=matrix("3", 3, IDENTITY)), "camera_matrix has rows '3' and cols 3"),
        (
            dict(rectification_matrix=matrix(3, 3, IDENTITY[:8])),
            "rectification_matrix of 3x3 has 8 numbers: it must have 9",
        ),
        (
            dict(rectification_matrix=matrix(3, 3, 1.0)),
            "rectification_matrix of 3x3 has no numbers: it must have 9",
        ),
        (dict(projection_matrix=matrix(3, 3, IDENTITY)), "projection_matrix is 3x3: it must be 3x4"),
        (
            dict(camera_matrix=matrix(3, 3, [float("nan"), *IDENTITY[1:]])),
            "camera_matrix holds nan, which is not a finite number",
        ),
        (dict(camera_matrix=matrix(3, 3, [float("inf"), *IDENTITY[1:]])), "camera_matrix holds inf"),
        (dict(camera_matrix=matrix(3, 3, ["wide", *IDENTITY[1:]])), "camera_matrix holds 'wide'"),
        (dict(camera_matrix=matrix(3, 3, [True, *IDENTITY[1:]])), "camera_matrix holds True"),
        (
            dict(camera_matrix=matrix(3, 3, [0] * 9)),
            "camera_matrix has focal lengths 0 and 0, which must be above 0",
        ),
        (
            dict(distortion_model="kannala"),
            "distortion_model 'kannala' is unknown: it can be plumb_bob, rational_polynomial, equi",
        ),
        (dict(distortion_model=[1]), r"distortion_model \[1\] is unknown"),
        (
            dict(distortion_model="equidistant"),
            "distortion_coefficients is 1x5, and equidistant has 4 of them",
        ),
        (dict(distortion_coefficients=None), "distortion_coefficients is missing"),
    ],
)
def test_what_is_wrong_is_said(write, changes, what):
    path = write(**changes)
    with pytest.raises(ValueError, match=f"^camera_info_url {path}: {path} holds no calibration: {what}"):
        read_calibration(str(path))


@pytest.mark.slow
@pytest.mark.parametrize(
    "content, what",
    [
        (b"", "holds no calibration: it is not a mapping with entries"),
        (b"image_width: [640\nimage_height: 480\n", r"not a YAML file of camera_calibration \(line 2"),
        (b"[" * 3000, "nested too deep"),
        (b"image_width: " + b"9" * 400, "line 1: a whole number of more than 64 bits"),
        (b"%YAML:1.0\nimage_width: 6\n", r"not a YAML file of camera_calibration \(line 1"),  # OpenCV's own
        (b"camera_matrix: !!opencv-matrix\n  rows: 3\n", r"not a YAML file of camera_calibration \(line 1"),
        (b"\xff\xfe\x00", "is not a YAML file of camera_calibration .*decode byte 0xff"),
    ],
)
def test_what_is_no_such_file_is_said(tmp_path, content, what):
    path = tmp_path / "camera.yaml"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=what) as caught:
        read_calibration(str(path))
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_what_cannot_be_read_is_said(tmp_path):
    with pytest.raises(
        OSError, match="camera_info_url file:///no/such.yaml: cannot read /no/such.yaml .No such file"
    ):
        read_calibration("file:///no/such.yaml")
    with pytest.raises(OSError, match=f"cannot read {tmp_path} .Is a directory"):
        read_calibration(str(tmp_path))
    with pytest.raises(ValueError, match="camera_info_url http://robot/camera.yaml: give a path, file://"):
        read_calibration("http://robot/camera.yaml")
    with pytest.raises(
        ValueError, match="camera_info_url package://no_robot/camera.yaml: there is no package 'no_robot'"
    ):
        read_calibration("package://no_robot/camera.yaml")
    with pytest.raises(ValueError, match="segmenter.yaml holds no calibration"):  # found in the package
        read_calibration("package://dcfm_ros/config/segmenter.yaml")


def test_no_calibration_is_a_size_and_zeros():
    info = uncalibrated(640, 480)
    assert (info.width, info.height, info.distortion_model, len(info.d)) == (640, 480, "", 0)
    assert not np.any(info.k) and not np.any(info.r) and not np.any(info.p)


@pytest.mark.parametrize(
    "image, info",
    [
        ("/camera/image_raw", "/camera/camera_info"),
        ("/camera/image_raw/compressed", "/camera/camera_info"),
        ("/robot/front/color/image_raw", "/robot/front/color/camera_info"),
        ("/image", "/camera_info"),
    ],
)
def test_the_topic_beside_an_image(image, info):
    assert info_topic(image) == info
