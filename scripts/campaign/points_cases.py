# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bad messages for the node `points`: depth images, clouds, masks, calibrations and palettes as nobody should
send them. Each is made from a `random.Random` and its stamp."""

from __future__ import annotations

import array
from random import Random
from typing import Any

import numpy as np
from points_helpers import cloud_fields, image_fields, info_fields, places, records, scene
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField, RegionOfInterest

from campaign.message_cases import ODD_IMAGE, TEXTS, OddValues, header, number, set_odd
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
    return _changed(message, ODD_IMAGE, chance)


def mask(chance: Random, stamp_ns: int) -> bytes:
    """Return a serialized mask; three of four are valid, since without a mask nothing is labelled."""
    message = _image(chance, stamp_ns, scene()[1], "mono8")
    return _changed(message, ODD_IMAGE, chance) if chance.random() < 0.25 else serialize_message(message)


def cloud(chance: Random, stamp_ns: int) -> bytes:
    """Return a serialized cloud, organised or in one row."""
    points = records(places(scene()[0]), chance.choice("<>"), chance.choice(("f4", "f8")))
    message = PointCloud2(**cloud_fields(points, padding=chance.choice((0, 5)), field=PointField))
    message.header = _header(chance, stamp_ns)
    if chance.random() < 0.3:
        message.height = 1
    return _changed(message, _ODD_CLOUD, chance)


def calibration(chance: Random, stamp_ns: int) -> bytes:
    """Return a serialized calibration."""
    message = CameraInfo(**info_fields(), header=_header(chance, stamp_ns))
    return _changed(message, _ODD_INFO, chance)


def palette(chance: Random, stamp_ns: int) -> bytes:
    """Return a serialized palette."""
    classes = [
        ClassColor(id=chance.randrange(256), name=chance.choice(TEXTS), r=chance.randrange(256))
        for _ in range(chance.choice((0, 1, 3, 300)))
    ]
    message = ClassPalette(header=_header(chance, stamp_ns), classes=classes)
    data = serialize_message(message)
    return data if chance.random() < 0.5 else mutated(data, chance)


def _changed(message: Any, values: OddValues, chance: Random) -> bytes:
    """Return the message with one to three odd fields, or damaged bytes."""
    if chance.random() < 0.4:
        return chance.choice((mutated, mutated_head))(serialize_message(message), chance)
    for _ in range(chance.randint(1, 3)):
        set_odd(message, values, chance)
    return serialize_message(message)


def _image(chance: Random, stamp_ns: int, pixels: np.ndarray, encoding: str) -> Image:
    return Image(header=_header(chance, stamp_ns), **image_fields(pixels, encoding))


def _header(chance: Random, stamp_ns: int):
    made = header(chance, stamp_ns)
    if chance.random() < 0.9:
        made.frame_id = _FRAME
    return made


def _field(chance: Random) -> PointField:
    return PointField(
        name=chance.choice((*"xyz", "rgb", "label", "intensity", *TEXTS)),
        offset=chance.choice((0, 4, 8, 12, number(chance))),
        datatype=chance.randrange(11),
        count=chance.choice((0, 1, 1, 3, number(chance))),
    )


def _with_odd(chance: Random, values: Any) -> list[float]:
    """Return the numbers, one of them odd."""
    changed = list(values)
    changed[chance.randrange(len(changed))] = chance.choice(_ODD)
    return changed


def _coefficients(chance: Random, info: CameraInfo) -> list[float]:
    return [chance.choice((*_ODD, 0.1, -0.3)) for _ in range(chance.choice((0, 4, 5, 8, 8, 300)))]


_ODD_CLOUD: OddValues = (
    ("width", number),
    ("height", number),
    ("point_step", number),
    ("row_step", number),
    ("data", lambda chance, cloud: array.array("B", chance.randbytes(chance.choice((0, 1, 17, 576, 4000))))),
    ("fields", lambda chance, cloud: [*cloud.fields, *map(_field, [chance] * chance.choice((1, 2, 300)))]),
    ("fields", lambda chance, cloud: [field for field in cloud.fields if chance.random() < 0.7]),
    ("is_bigendian", lambda chance, cloud: not cloud.is_bigendian),
)
_ODD_INFO: OddValues = (
    ("width", number),
    ("height", number),
    ("k", lambda chance, info: _with_odd(chance, info.k)),
    ("distortion_model", lambda chance, info: chance.choice(("plumb_bob", "rational_polynomial", *TEXTS))),
    ("d", _coefficients),
    ("binning_x", number),
    ("roi", lambda chance, info: RegionOfInterest(width=number(chance))),
)
