# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Content type of a `CompressedImage`, from its `format` string and the first bytes of its data.

image_transport writes "ENCODING; CODEC compressed [ORDER]": the encoding before compression and, if
different, the one passed to the codec. Drivers and apps often write only a part of this, such as the codec.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from dcfm_ros.pipeline.png import PNG_START

_NUMBERS = re.compile(r"(8|16|32|64)[usf]c\d*")  # OpenCV's matrix types: depth, heat, disparities
_DEPTH = re.compile(r"depth|disparity|\brvl\b")
_VIDEO = re.compile(r"\b(h\.?26[345]|x26[45]|hevc|avc1?|av1|vp[89]|mpe?g-?[1-4]|theora|ffmpeg)(\b|_)")
_WITH_AN_ORDER = {f"{channels}{bits}" for channels in ("rgb", "bgr", "rgba", "bgra") for bits in (8, 16)}
_DEPTH_HEADER = 12  # bytes
_FOREIGN = {
    name: re.compile(start, re.DOTALL)
    for name, start in {
        "WebP": rb"RIFF....WEBP",
        "TIFF": rb"II\*\0|MM\0\*",
        "AVIF or HEIF": rb"....ftyp(avi|hei|hev|mif|msf)",
        "JPEG 2000": rb"\0\0\0\x0cjP|\xff\x4f\xff\x51",
        "JPEG XL": rb"\0\0\0\x0cJXL|\xff\x0a",
        "BMP": rb"BM....\0\0\0\0",
        "GIF": rb"GIF8",
        "QOI": rb"qoif",
    }.items()
}
_VIDEO_START = re.compile(rb"\0\0\0?\x01")


class StatedFormat(NamedTuple):
    """The parts of `CompressedImage.format`, in lower case."""

    encoding: str  # before compression; "" if the format names none
    order: str  # the encoding passed to the codec, after "compressed"; "" if none is named
    is_depth: bool  # depth, thermal or other values that are not colours
    is_video: bool  # a codec whose pictures depend on previous ones

    @property
    def held(self) -> str:
        """The encoding of the compressed data; "" if the format does not state it."""
        return self.order or self.encoding

    @property
    def is_rgb(self) -> bool:
        """True if red and blue are swapped in the codec. Same rule as image_transport's subscriber: encodings
        with a channel order are RGB unless "compressed bgr" follows; a format without an encoding is BGR."""
        if self.encoding in _WITH_AN_ORDER:
            return not self.order.startswith("bgr")
        return bool(self.encoding) and self.order.startswith("rgb")


def read_format(text: str, encodings: frozenset[str]) -> StatedFormat:
    """Parse a format string. encodings: names, in lower case, that count as an encoding on their own, as some
    drivers write them"""
    words = " ".join(text.lower().split())
    encoding, stated, codec = (part.strip() for part in words.partition(";"))
    if not stated:
        encoding, codec = "", words
    order = next(iter(codec.partition("compressed")[2].split()), "")
    if words in encodings:
        order = words
    is_depth = bool(_DEPTH.search(words)) or any(
        _NUMBERS.fullmatch(name) and name not in encodings for name in (encoding, order, words)
    )
    return StatedFormat(encoding, order, is_depth, bool(_VIDEO.search(words)))


def is_compressed_depth(data: bytes) -> bool:
    """Return whether the data is a PNG after the header of compressed_depth_image_transport."""
    return data[_DEPTH_HEADER:].startswith(PNG_START)


def other_codec(data: bytes) -> str:
    """Return the name of an unsupported still-image codec; "" if none is recognised."""
    return next((name for name, start in _FOREIGN.items() if start.match(data)), "")


def is_video_stream(data: bytes) -> bool:
    """Return whether the data begins like an H.264 or H.265 stream."""
    return _VIDEO_START.match(data) is not None
