# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a `CompressedImage` says of itself: its `format` in words, and the first bytes of its data.

image_transport writes "ENCODING; CODEC compressed [ORDER]": the encoding before compression, and the one that
the codec was given, where that is another. Drivers and apps write as much of this as they like, often the
codec alone.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_NUMBERS = re.compile(r"(8|16|32|64)[usf]c\d*")  # OpenCV's matrix types: depth, heat, disparities
_DEPTH = re.compile(r"depth|disparity|\brvl\b")
_VIDEO = re.compile(r"\b(h\.?26[345]|x26[45]|hevc|avc1?|av1|vp[89]|mpe?g-?[1-4]|theora|ffmpeg)(\b|_)")
_WITH_AN_ORDER = {f"{channels}{bits}" for channels in ("rgb", "bgr", "rgba", "bgra") for bits in (8, 16)}
PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_GREY, _PNG_GREY_ALPHA = 0, 4
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
    """The words of `CompressedImage.format`, in lower case."""

    encoding: str  # before compression; "" where the format names none
    order: str  # the encoding that the codec was given, after "compressed"; "" where none is named
    is_depth: bool  # depth, heat or other numbers
    is_video: bool  # a codec whose pictures build on those before

    @property
    def held(self) -> str:
        """The encoding of what is in the codec; "" where the format does not say it."""
        return self.order or self.encoding

    @property
    def is_rgb(self) -> bool:
        """Is red where the codec has blue? Read as image_transport's subscriber does: what has an order of
        channels is RGB unless "compressed bgr" is there; a format without an encoding is BGR."""
        if self.encoding in _WITH_AN_ORDER:
            return not self.order.startswith("bgr")
        return bool(self.encoding) and self.order.startswith("rgb")


def read_format(text: str, encodings: frozenset[str]) -> StatedFormat:
    """encodings: names, in lower case, that count as an encoding where they stand alone, as some drivers
    write them"""
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


class PngHeader(NamedTuple):
    """What a PNG says before its pixels."""

    width: int
    height: int
    bits: int  # per channel
    is_grey: bool


def read_png(data: bytes) -> PngHeader | None:
    """None: the data is no PNG."""
    if not data.startswith(PNG_START) or data[12:16] != b"IHDR" or len(data) < 26:
        return None
    width, height = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))
    return PngHeader(width, height, data[24], data[25] in (_PNG_GREY, _PNG_GREY_ALPHA))


def is_compressed_depth(data: bytes) -> bool:
    """Is it a PNG behind the header of compressed_depth_image_transport?"""
    return data[_DEPTH_HEADER:].startswith(PNG_START)


def other_codec(data: bytes) -> str:
    """The name of a still picture's codec that is not read here; "" for none that is known."""
    return next((name for name, start in _FOREIGN.items() if start.match(data)), "")


def is_video_stream(data: bytes) -> bool:
    """Does the data begin as H.264 and H.265 streams do?"""
    return _VIDEO_START.match(data) is not None
