# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bad messages: images, compressed images, calibrations and parameters as nobody should send them. Each is
made from a `random.Random` and the stamp that it would have from a camera."""

from __future__ import annotations

import array
import io
import struct
import zlib
from collections.abc import Callable, Sequence
from functools import cache
from random import Random
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from PIL import Image as Picture
from rcl_interfaces.msg import Parameter, ParameterValue
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from campaign.mutations import mutated, mutated_head
from campaign.png_changes import png, png_chunks, png_pixels
from dcfm_ros.pipeline.decoding import SUPPORTED_ENCODINGS
from dcfm_ros.pipeline.png import PNG_START

_NUMBERS = (0, 1, 2, 3, 7, 8, 255, 256, 16384, 16385, 50_000, 2**16, 2**31 - 1, 2**31, 2**32 - 1)
TEXTS = (
    "",
    " ",
    "bgr8",
    "BGR8",
    "rgb8; jpeg compressed bgr8",
    "mono16; png compressed ",
    "32FC1; compressedDepth png",
    "32FC1",
    "16UC1",
    "jpeg",
    "png",
    "h264",
    "<script>alert(1)</script>",
    "\N{RIGHT-TO-LEFT OVERRIDE}8bgr",
    "x" * 5000,
    "a\nb\tc",
    "%s%n%x",
    "../../etc/passwd",
)
_PNG_CHANGES, _SMALL = (mutated, png_chunks, png_pixels), 1 << 14
OddValues = Sequence[tuple[str, Callable[[Random, Any], Any]]]  # of a message's fields, by name
SIZES = ((1, 1), (2, 2), (8, 6), (13, 7), (32, 24))  # (width, height)


def image(chance: Random, stamp_ns: int, size: tuple[int, int]) -> bytes:
    """Return a serialized sensor_msgs/Image with wrong fields, or damaged bytes. size: (width, height)"""
    width, height = size
    message = Image(
        header=header(chance, stamp_ns), height=height, width=width, encoding="bgr8", step=3 * width
    )
    message.data.frombytes(chance.randbytes(3 * width * height))
    if chance.random() < 0.5:
        return mutated_head(serialize_message(message), chance)
    for _ in range(chance.randint(1, 3)):
        set_odd(message, ODD_IMAGE, chance)
    return serialize_message(message)


def set_odd(message: Any, values: OddValues, chance: Random) -> None:
    """Give one of its fields an odd value."""
    name, value = chance.choice(values)
    setattr(message, name, value(chance, message))


def number(chance: Random, message: Any = None) -> int:
    """Return a size, an offset or a count, which may be far too large."""
    return chance.choice(_NUMBERS)


ODD_IMAGE: OddValues = (
    ("width", number),
    ("height", number),
    ("step", number),
    ("encoding", lambda chance, image: chance.choice((*SUPPORTED_ENCODINGS, *TEXTS))),
    ("data", lambda chance, image: array.array("B", chance.randbytes(chance.choice((0, 1, 17, 4000))))),
)


def compressed_image(chance: Random, stamp_ns: int, size: tuple[int, int]) -> bytes:
    """Return a serialized sensor_msgs/CompressedImage whose file or format is wrong, or damaged bytes."""
    file = chance.choice(files())
    if chance.random() < 0.8:
        file = chance.choice(_PNG_CHANGES if _is_small_png(file) else (mutated,))(file, chance)
    text = chance.choice(TEXTS) if chance.random() < 0.3 else "rgb8; jpeg compressed bgr8"
    message = CompressedImage(header=header(chance, stamp_ns), format=text)
    message.data.frombytes(file)
    data = serialize_message(message)
    return data if chance.random() < 0.7 else mutated(data, chance)


def _is_small_png(file: bytes) -> bool:
    """Whether it is a PNG, and no bomb."""
    return file.startswith(PNG_START) and len(file) < _SMALL


def calibration(chance: Random, stamp_ns: int, size: tuple[int, int]) -> bytes:
    """Return a serialized sensor_msgs/CameraInfo of odd values, or damaged bytes."""
    odd = (0.0, -1.0, 1e308, float("nan"), float("inf"), 300.0)
    message = CameraInfo(
        header=header(chance, stamp_ns),
        height=number(chance),
        width=number(chance),
        distortion_model=chance.choice(TEXTS),
        d=[chance.choice(odd) for _ in range(chance.choice((0, 4, 5, 8, 300)))],
        k=[chance.choice(odd) for _ in range(9)],
    )
    data = serialize_message(message)
    return data if chance.random() < 0.5 else mutated(data, chance)


def parameter(chance: Random, names: list[str]) -> Parameter:
    """Return a parameter of a real or an invented name, with a value of any type, existing or not."""
    value = ParameterValue(
        type=chance.choice((0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 77, 255)),
        bool_value=chance.random() < 0.5,
        integer_value=chance.choice((0, 1, -1, 2**31, -(2**63), 2**63 - 1)),
        double_value=chance.choice((0.0, -1.0, 1e308, float("nan"), float("inf"), 1e-320)),
        string_value=chance.choice(TEXTS),
        string_array_value=[chance.choice(TEXTS) for _ in range(chance.randrange(4))],
        double_array_value=[float("nan")] * chance.randrange(3),
    )
    name = chance.choice(names) if chance.random() < 0.8 else chance.choice(TEXTS)
    return Parameter(name=name, value=value)


@cache
def files() -> tuple[bytes, ...]:
    """Return small files that cameras, phones and attackers have: pictures of many kinds, and bombs."""
    rgb = Picture.fromarray(np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8))

    def saved(kind: str, mode: str = "RGB", **options) -> bytes:
        buffer = io.BytesIO()
        rgb.convert(mode).save(buffer, kind, **options)
        return buffer.getvalue()

    wide = io.BytesIO()
    Picture.fromarray(np.arange(768, dtype=np.uint16).reshape(24, 32)).save(wide, "PNG")
    jpeg = saved("JPEG")
    frames = [rgb.convert("P"), rgb.rotate(90).convert("P")]
    return (
        jpeg,
        saved("JPEG", "L"),
        saved("JPEG", "CMYK"),
        saved("JPEG", progressive=True),
        _corrupt_tables(jpeg),
        _with_size(jpeg, 50_000, 50_000),
        saved("PNG"),
        saved("PNG", "L"),
        saved("PNG", "P"),
        saved("PNG", "RGBA"),
        saved("PNG", save_all=True, append_images=[rgb.rotate(90)]),  # animated
        saved("PNG", save_all=True, append_images=[rgb.rotate(90)], default_image=True),  # that beside it
        wide.getvalue(),
        png_bomb(50_000, 50_000),
        png_bomb(8193, 8192),
        saved("GIF", "P", save_all=True, append_images=frames),
        b"GIF89a"
        + struct.pack("<HH", 50_000, 50_000)
        + b"\x80\0\0\0\0\0\xff\xff\xff"
        + b","
        + bytes(9)
        + b"\2\0;",
        saved("WEBP"),
        saved("BMP"),
        saved("TIFF"),
        b"",
        b"\0\0\0\1\x67\x42\0\x1e" + bytes(40),  # of an H.264 stream
    )


def png_bomb(width: int, height: int) -> bytes:
    """Return a PNG of a few kB whose pixels, all black, take width x height bytes."""
    packer, pieces = zlib.compressobj(9), []
    for _ in range(min(height, 1000)):  # not all of them: nobody must come as far
        pieces.append(packer.compress(bytes(1 + width)))
    content = b"".join([*pieces, packer.flush()])
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return png([(b"IHDR", head), (b"IDAT", content), (b"IEND", b"")])


def _corrupt_tables(jpeg: bytes) -> bytes:
    """Return the JPEG with Huffman tables that are none."""
    data, at = bytearray(jpeg), jpeg.index(b"\xff\xc4") + 5
    data[at : at + 16] = b"\xff" * 16
    return bytes(data)


def _with_size(jpeg: bytes, width: int, height: int) -> bytes:
    data, at = bytearray(jpeg), jpeg.index(b"\xff\xc0") + 5
    data[at : at + 4] = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return bytes(data)


def header(chance: Random, stamp_ns: int) -> Header:
    """A header, now and then of any time: before, after, or at the end of all."""
    stamp = Time(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
    if chance.random() < 0.02:  # each jump begins a new sequence, and so does the way back
        stamp.sec = chance.choice((0, -1, 2**31 - 1, -(2**31), chance.randrange(2**31)))
        stamp.nanosec = chance.choice((0, 999_999_999, 2**32 - 1))
    return Header(stamp=stamp, frame_id=chance.choice(TEXTS))
