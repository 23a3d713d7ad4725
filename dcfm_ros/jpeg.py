# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parses the structure of a JPEG: its header, and whether its pixel data is complete.

Decoders fill missing data with grey without an error that OpenCV would report, and some cameras never write
the end marker. So neither the decoder nor the marker distinguishes a complete picture from a truncated one.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import cv2
import numpy as np

START, END = b"\xff\xd8", b"\xff\xd9"
_MARKER = re.compile(rb"\xff[^\0\xff]", re.DOTALL)
# restart markers, which are part of the pixel data
_SCAN_END = re.compile(rb"\xff[^\0\xff\xd0-\xd7]", re.DOTALL)
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
# markers of the segment that contains the size
_SIZES = {0xC0 + number for number in range(16)} - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = 0xC2
# Huffman-coded, like the first two (baseline, extended): supported by every decoder
_READ = (0xC0, 0xC1, _PROGRESSIVE)
_SCAN, _ADOBE, _ALONE = 0xDA, 0xEE, (0x01, 0xD8)
GREY = 128  # fill value of decoders
# Bytes that do not decode to grey; if one happens to equal the missing bits, the other does not.
_FILLINGS = (b"\xf6\xb5\x21\xc4\x93\x0e\xe7\x38" * 32, b"\x09\x4a\xde\x3b\x6c\xf1\x18\xc7" * 32)
_MOST_PIXELS = 2048  # largest number per byte, even in a single colour
_MOST_ZEROS = 2  # zero bytes that pixel data may end with; more are padding


class JpegFrame(NamedTuple):
    """The header of a JPEG, and where its pixel data is."""

    width: int
    height: int
    channels: int
    bits: int  # per channel
    is_common: bool  # of a kind that every decoder supports
    is_progressive: bool
    has_adobe_marker: bool  # defines the meaning of four channels
    scan_start: int  # start of the last pixel data
    scan_end: int
    has_end: bool  # whether there is an end marker

    breaks_off: bool  # ends after the pixels, within a segment of the picture

    @property
    def may_be_whole(self) -> bool:
        """Whether the data can be complete; if not, decoding would only cost time and memory."""
        return not self.breaks_off and self.width * self.height <= _MOST_PIXELS * (
            self.scan_end - self.scan_start
        )


def read_jpeg(data: bytes) -> JpegFrame | None:
    """Parse the structure; None if the data is not a JPEG, or ends before its pixel data.

    Segments are skipped by their lengths, so that the end of an embedded thumbnail is not taken for the end
    of the picture.
    """
    if not data.startswith(START + b"\xff"):
        return None
    size, adobe, scan, at = None, False, None, len(START)
    while (found := _MARKER.search(data, at)) is not None:
        at, marker = found.end(), data[found.start() + 1]
        if marker == END[1] or (scan and marker in _ALONE):
            break
        if marker in _ALONE:
            continue
        length = int.from_bytes(data[at : at + 2], "big")
        segment, at = data[at + 2 : at + length], at + max(length, 2)
        if at > len(data):
            break
        if marker in _SIZES and size is None and len(segment) >= 6:
            size = marker, segment
        elif marker == _ADOBE:
            adobe = adobe or segment.startswith(b"Adobe")
        elif marker == _SCAN:
            end = _SCAN_END.search(data, at)
            scan = at, end.start() if end else len(data)
            at = scan[1]
        if scan and data[at : at + 1] != b"\xff":  # corrupt data that looks like a segment
            break
    if size is None or scan is None:
        return None
    kind, segment = size
    height, width = (int.from_bytes(segment[first : first + 2], "big") for first in (1, 3))
    following = data[scan[1] : scan[1] + 2]
    return JpegFrame(
        width,
        height,
        segment[5],
        segment[0],
        kind in _READ,
        kind == _PROGRESSIVE,
        adobe,
        *scan,
        has_end=following == END,
        breaks_off=following not in (END, START, b""),
    )


def with_end(data: bytes, frame: JpegFrame) -> bytes:
    """Return the picture with an end marker after its pixel data."""
    return data if frame.has_end else _body(data, frame) + END


def looks_cut(data: bytes, frame: JpegFrame, pixels: np.ndarray) -> bool:
    """Return whether pixels are missing, apart from a part of the last block. pixels: (H, W, 3) or (H, W)
    uint8, decoded by OpenCV from `with_end`.

    If pixels are missing, the last one has the decoder's grey; in a progressive picture only details may be
    missing. Other pictures are not decoded twice.
    """
    may_be = (pixels[-1, -1] == GREY).all() or (frame.is_progressive and not frame.has_end)
    return bool(may_be) and misses_data(data, frame, pixels)


def misses_data(data: bytes, frame: JpegFrame, pixels: np.ndarray) -> bool:
    """Return whether pixel data is missing, by decoding again with bytes appended to it.

    A complete picture does not change; in a truncated one they become the missing part. This distinguishes a
    truncated picture from a grey scene, down to the last bits.
    """
    body = _body(data, frame)
    restarts = _RESTART.findall(body, frame.scan_start)
    following = (restarts[-1][1] - 0xD0 + 1) % 8 if restarts else 0
    colours = cv2.IMREAD_GRAYSCALE if pixels.ndim == 2 else cv2.IMREAD_COLOR
    for filling in _FILLINGS:
        rest = filling + b"".join(bytes((0xFF, 0xD0 + (following + n) % 8)) + filling for n in range(8))
        filled = cv2.imdecode(
            np.frombuffer(body + rest + END, np.uint8), colours | cv2.IMREAD_IGNORE_ORIENTATION
        )
        if filled is None or not np.array_equal(pixels, filled):
            return True
    return False


def _body(data: bytes, frame: JpegFrame) -> bytes:
    """Return the data up to the end of the pixels, without zero padding and without half a marker."""
    body = data[: frame.scan_end]
    return body if frame.has_end else body[: len(body.rstrip(b"\0")) + _MOST_ZEROS].rstrip(b"\xff")
