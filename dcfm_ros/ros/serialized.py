# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reading of serialized messages, as DDS brings them.

Cameras' messages are taken as bytes. What cannot be read is then an error that is counted and told; the
middleware would throw it away without a word. An image's pixels stay where they are, which saves a copy. And
a sequence is not made before its length is looked at: ROS's library makes as many entries as a message claims
to have bytes left for, of 70 bytes each if they are fields of a cloud, and only then reads them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, NamedTuple

from builtin_interfaces.msg import Time
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header

from dcfm_ros.msg import ClassPalette
from dcfm_ros.pipeline.decoding import MessageError

_START = 4  # bytes of the encapsulation header, from whose end alignment counts
_BYTE_ORDERS = {b"\0\0": ">", b"\0\1": "<"}  # plain CDR, which ROS uses
# Of messages that have little to say; 64 calibrations may wait for their masks.
_MOST_BYTES: dict[type, int] = {CameraInfo: 1 << 16, ClassPalette: 1 << 16}
_MOST_FIELDS = 256  # of a cloud


class SerializedImage(NamedTuple):
    """A `sensor_msgs/Image`, whose data are in the serialized message."""

    header: Header
    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: memoryview


def reader(kind: type) -> Callable[[bytes], Any]:
    """Return the function that reads serialized messages of a class.

    It raises MessageError (kind "message") if the bytes are no such message, or claim more than one needs.
    """
    read = {Image: _read_image, PointCloud2: _read_cloud}.get(
        kind, lambda data: deserialize_message(data, kind)
    )
    most = _MOST_BYTES.get(kind)

    def checked(data: bytes) -> Any:
        if most is not None and len(data) > most:
            raise MessageError(
                "message", f"a {kind.__name__} of {len(data)} bytes is refused: none needs more than {most}"
            )
        try:
            return read(data)
        except MessageError:
            raise
        except Exception as error:  # of its own bindings; which ones depends on version and middleware
            raise MessageError(
                "message",
                f"a message of {len(data)} bytes is no {kind.__name__}, although its publisher says so "
                f"({error}): look for a publisher that was built with another version of the type, or that "
                "damages it",
            ) from None

    return checked


def reading(
    kind: type, received: Callable[[Any], None], refuse: Callable[[MessageError], None]
) -> Callable[[bytes], None]:
    """Return the callback of a subscription to serialized messages (`raw=True`): it reads them as `reader`
    does, and calls `received` with each message, or `refuse` with the error."""
    read = reader(kind)

    def take(data: bytes) -> None:
        try:
            message = read(data)
        except MessageError as error:
            refuse(error)
            return
        received(message)

    return take


def _read_image(data: bytes) -> SerializedImage:
    """Read an image in CDR; in another representation by the message's own library."""
    order = _BYTE_ORDERS.get(data[:2])
    if order is None:
        return deserialize_message(data, Image)
    cursor = _Cursor(memoryview(data), order)
    header = cursor.header()
    height, width, encoding = cursor.number("I"), cursor.number("I"), cursor.text()
    is_bigendian, step = cursor.number("B"), cursor.number("I")
    return SerializedImage(
        header, height, width, encoding, is_bigendian, step, cursor.take(cursor.number("I"))
    )


def _read_cloud(data: bytes) -> PointCloud2:
    """Read a cloud, if it claims no more fields than points can have."""
    order = _BYTE_ORDERS.get(data[:2])
    if order is None:
        raise ValueError("it is not in plain CDR")
    cursor = _Cursor(memoryview(data), order)
    cursor.header()
    cursor.number("I"), cursor.number("I")  # height and width
    if (fields := cursor.number("I")) > _MOST_FIELDS:
        raise MessageError(
            "message",
            f"cloud has {fields} fields: at most {_MOST_FIELDS} are read; its publisher must describe what a "
            "point has once, as PointField says",
        )
    return deserialize_message(data, PointCloud2)


class _Cursor:
    """A place in a message in CDR: numbers are aligned to their size."""

    def __init__(self, data: memoryview, order: str):
        self._data, self._order, self._at = data, order, _START

    def number(self, kind: str) -> int:
        size = struct.calcsize(kind)
        self._at += -(self._at - _START) % size
        return struct.unpack(self._order + kind, self.take(size))[0]

    def header(self) -> Header:
        return Header(stamp=Time(sec=self.number("i"), nanosec=self.number("I")), frame_id=self.text())

    def text(self) -> str:
        """Read a string, which ends with a zero byte that its length includes."""
        return bytes(self.take(self.number("I"))).split(b"\0", 1)[0].decode("utf-8", "replace")

    def take(self, count: int) -> memoryview:
        if self._at + count > len(self._data):
            raise ValueError(f"it ends after {len(self._data)} bytes, {self._at + count} are needed")
        taken = self._data[self._at : self._at + count]
        self._at += count
        return taken
