# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Calibrations fitted to masks: a point of the world is seen at the same place of the picture."""

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CameraInfo, RegionOfInterest
from std_msgs.msg import Header

from dcfm_ros.ros.camera_info import InfoPairing, scaled_camera_info

POINT = np.array([0.3, -0.2, 2.0])


def info(**changes):
    return CameraInfo(
        **dict(
            width=640,
            height=480,
            k=[500.0, 0, 310.0, 0, 510.0, 250.0, 0, 0, 1],
            p=[490.0, 0, 315.0, -49.0, 0, 505.0, 245.0, 3.0, 0, 0, 1, 0],
        )
        | changes
    )


def seen(info):
    """Project the point by k and by p; positions relative to the picture's width and height."""
    k, p = info.k.reshape(3, 3) @ POINT, info.p.reshape(3, 4) @ [*POINT, 1.0]
    return [((v[0] / v[2] + 0.5) / info.width, (v[1] / v[2] + 0.5) / info.height) for v in (k, p)]


@pytest.mark.parametrize("size", [(480, 640), (240, 320), (100, 333), (960, 1280)])
def test_a_point_is_seen_at_the_same_place(size):
    fitted = scaled_camera_info(info(), (480, 640), size)
    assert (fitted.height, fitted.width) == size and np.allclose(seen(fitted), seen(info()), atol=1e-12)


def test_a_part_of_the_picture_with_binning():
    part = info(
        binning_x=2,
        binning_y=2,
        roi=RegionOfInterest(x_offset=100, y_offset=60, width=400, height=300, do_rectify=True),
    )
    fitted = scaled_camera_info(part, (150, 200), (75, 100))
    (x, y), _ = seen(info())
    assert np.allclose(seen(fitted)[0], ((640 * x - 100) / 400, (480 * y - 60) / 300), atol=1e-12)
    assert (fitted.binning_x, fitted.roi.width, fitted.roi.do_rectify) == (0, 0, False)


def test_no_calibration_stays_none():
    fitted = scaled_camera_info(CameraInfo(width=640, height=480), (480, 640), (240, 320))
    assert not fitted.k.any() and not fitted.p.any() and (fitted.width, fitted.height) == (320, 240)


@pytest.mark.parametrize(
    "changes",
    [
        dict(width=320),
        dict(binning_x=2),
        dict(width=0, height=0),
        dict(roi=RegionOfInterest(width=100, height=100)),
    ],
)
def test_another_size_than_the_images_is_refused(changes):
    with pytest.raises(
        ValueError, match="camera_info is of .* and the image of 640x480: let the driver send"
    ):
        scaled_camera_info(info(**changes), (480, 640), (480, 640))


def test_what_waits_in_vain_is_bounded():
    published = []
    pairing = InfoPairing("/info", published.append)
    for number in range(1000):
        pairing.add_info(info(header=Header(stamp=Time(sec=number))))
        pairing.add_mask(Header(stamp=Time(sec=10_000 + number)), (480, 640), (480, 640))
    assert len(pairing._infos) == len(pairing._masks) == 64 and not published
    pairing.add_mask(Header(stamp=Time(sec=999)), (480, 640), (480, 640))
    pairing.add_info(info(header=Header(stamp=Time(sec=10_999))))
    assert [message.header.stamp.sec for message in published] == [
        999,
        10_999,
    ] and pairing.counts().paired == 2
