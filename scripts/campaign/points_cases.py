# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bad messages for the node `points`: depth images, clouds, masks, calibrations and palettes as nobody should
send them. Each is made from a `random.Random` and its stamp."""

from __future__ import annotations

import array
from random import Random

import numpy as np
from points_helpers import cloud_fields, image_fields, info_fields, places, records, scene
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField

from campaign.message_cases import TEXTS, header, number, set_image_field
from campaign.mutations import mutated, mutated_head
from dcfm_ros.msg import ClassColor, ClassPalette

_ODD = (0.0, -1.0, 1e-300, 1e8, 1e308, float("nan"), float("inf"), 300.0)
_FRAME = "optical_frame"  # of the valid ones


def depth(chance: Random, stamp_ns: int) -> bytes:
    """Return a serialized depth image."""
    values = scene()[0]
    values.flat[chance.randrange(values.size)] = chance.choice(_ODD[:4])
    message = _image(chance, stamp_ns, values, "32FC1")
    if chance.random() < 0.2:
        message = _image(chance, stamp_ns, (1000 * np.clip(values, 0, 60)).astype(np.uint16), "16UC1")
    return _changed(message, set_image_field, chance)


def mask(chance: Random, stamp_ns: int) -> bytes:
    """Return a serialized mask; three of four are valid, since without a mask nothing is labelled."""
    message = _image(chance, stamp_ns, scene()[1], "mono8")
    return (
        _changed(message, set_image_field, chance) if chance.random() < 0.25 else serialize_message(message)
    )


def cloud(chance: Random, stamp_ns: int) -> bytes:
    """Return a serialized cloud, organised or in one row."""
    points = records(places(scene()[0]), chance.choice("<>"), chance.choice(("f4", "f8")))
    message = PointCloud2(**cloud_fields(points, padding=chance.choice((0, 5)), field=PointField))
    message.header = _header(chance, stamp_ns)
    if chance.random() < 0.3:
        message.height, message.width = 1, message.width
    return _changed(message, _set_cloud_field, chance)


def calibration(chance: Random, stamp_ns: int) -> bytes:
    """Return a serialized calibration."""
    message = CameraInfo(**info_fields(), header=_header(chance, stamp_ns))
    return _changed(message, _set_info_field, chance)


def palette(chance: Random, stamp_ns: int) -> bytes:
    """Return a serialized palette."""
    classes = [
        ClassColor(id=chance.randrange(256), name=chance.choice(TEXTS), r=chance.randrange(256))
        for _ in range(chance.choice((0, 1, 3, 300)))
    ]
    message = ClassPalette(header=_header(chance, stamp_ns), classes=classes)
    data = serialize_message(message)
    return data if chance.random() < 0.5 else mutated(data, chance)


def _changed(message, change, chance: Random) -> bytes:
    """Return the message with one to three odd fields, or damaged bytes."""
    if chance.random() < 0.4:
        return chance.choice((mutated, mutated_head))(serialize_message(message), chance)
    for _ in range(chance.randint(1, 3)):
        change(message, chance)
    return serialize_message(message)


def _image(chance: Random, stamp_ns: int, pixels: np.ndarray, encoding: str) -> Image:
    return Image(header=_header(chance, stamp_ns), **image_fields(pixels, encoding))


def _header(chance: Random, stamp_ns: int):
    made = header(chance, stamp_ns)
    if chance.random() < 0.9:
        made.frame_id = _FRAME
    return made


def _set_cloud_field(message: PointCloud2, chance: Random) -> None:
    match chance.randrange(8):
        case 0:
            message.width = number(chance)
        case 1:
            message.height = number(chance)
        case 2:
            message.point_step = number(chance)
        case 3:
            message.row_step = number(chance)
        case 4:
            message.data = array.array("B", chance.randbytes(chance.choice((0, 1, 17, 576, 4000))))
        case 5:
            message.fields = [*message.fields, *(_field(chance) for _ in range(chance.choice((1, 2, 300))))]
        case 6:
            message.fields = [field for field in message.fields if chance.random() < 0.7]
        case 7:
            message.is_bigendian = not message.is_bigendian


def _field(chance: Random) -> PointField:
    return PointField(
        name=chance.choice((*"xyz", "rgb", "label", "intensity", *TEXTS)),
        offset=chance.choice((0, 4, 8, 12, number(chance))),
        datatype=chance.randrange(11),
        count=chance.choice((0, 1, 1, 3, number(chance))),
    )


def _set_info_field(message: CameraInfo, chance: Random) -> None:
    match chance.randrange(6):
        case 0:
            message.width = number(chance)
        case 1:
            message.height = number(chance)
        case 2:
            message.k[chance.randrange(9)] = chance.choice(_ODD)
        case 3:
            message.distortion_model = chance.choice(("plumb_bob", "rational_polynomial", *TEXTS))
        case 4:
            count = chance.choice((0, 4, 5, 8, 8, 300))
            message.d = [chance.choice((*_ODD, 0.1, -0.3)) for _ in range(count)]
        case 5:
            message.binning_x, message.roi.width = number(chance), number(chance)
