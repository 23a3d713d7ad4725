# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reading of serialized messages, as DDS brings them.

Cameras' messages are taken as bytes. What cannot be read is then an error that is counted and told; the
middleware would throw it away without a word. And an image's pixels stay where they are, which saves a copy.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from math import inf
from typing import Any, NamedTuple

from builtin_interfaces.msg import Time
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from dcfm_ros.pipeline.decoding import MessageError

_START = 4  # bytes of the encapsulation header, from whose end alignment counts
_BYTE_ORDERS = {b"\0\0": ">", b"\0\1": "<"}  # plain CDR, which ROS uses


class SerializedImage(NamedTuple):
    """A `sensor_msgs/Image`, whose data are in the serialized message."""

    header: Header
    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: memoryview


def reader(kind: type, most_bytes: float = inf) -> Callable[[bytes], Any]:
    """Return the function that reads serialized messages of a class, of at most so many bytes.

    It raises MessageError (kind "message") if the bytes are no such message.
    """
    read = _read_image if kind is Image else lambda data: deserialize_message(data, kind)

    def checked(data: bytes) -> Any:
        if len(data) > most_bytes:
            raise MessageError(
                "message",
                f"a {kind.__name__} of {len(data)} bytes is refused: no camera needs more than {most_bytes}",
            )
        try:
            return read(data)
        except Exception as error:  # of its own bindings; which ones depends on version and middleware
            raise MessageError(
                "message",
                f"a message of {len(data)} bytes is no {kind.__name__}, although its publisher says so "
                f"({error}): look for a publisher that was built with another version of the type, or that "
                "damages it",
            ) from None

    return checked


def reading(
    kind: type,
    received: Callable[[Any], None],
    refuse: Callable[[MessageError], None],
    most_bytes: float = inf,
) -> Callable[[bytes], None]:
    """Return the callback of a subscription to serialized messages (`raw=True`): it reads them as `reader`
    does, and calls `received` with each message, or `refuse` with the error."""
    read = reader(kind, most_bytes)

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
    header = Header(stamp=Time(sec=cursor.number("i"), nanosec=cursor.number("I")), frame_id=cursor.text())
    height, width, encoding = cursor.number("I"), cursor.number("I"), cursor.text()
    is_bigendian, step = cursor.number("B"), cursor.number("I")
    return SerializedImage(
        header, height, width, encoding, is_bigendian, step, cursor.take(cursor.number("I"))
    )


class _Cursor:
    """A place in a message in CDR: numbers are aligned to their size."""

    def __init__(self, data: memoryview, order: str):
        self._data, self._order, self._at = data, order, _START

    def number(self, kind: str) -> int:
        size = struct.calcsize(kind)
        self._at += -(self._at - _START) % size
        return struct.unpack(self._order + kind, self.take(size))[0]

    def text(self) -> str:
        """Read a string, which ends with a zero byte that its length includes."""
        return bytes(self.take(self.number("I"))).split(b"\0", 1)[0].decode("utf-8", "replace")

    def take(self, count: int) -> memoryview:
        if self._at + count > len(self._data):
            raise ValueError(f"it ends after {len(self._data)} bytes, {self._at + count} are needed")
        taken = self._data[self._at : self._at + count]
        self._at += count
        return taken
