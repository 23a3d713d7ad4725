# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The frame of a JPEG: what it says before its pixels, and whether all of them are there.

Decoders fill what is missing with grey and say nothing that OpenCV would pass on, and some cameras never
write the end marker. So neither the decoder nor the marker tells a whole picture from one that was cut.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import cv2
import numpy as np

START, END = b"\xff\xd8", b"\xff\xd9"
_MARKER = re.compile(rb"\xff[^\0\xff]", re.DOTALL)
_SCAN_END = re.compile(
    rb"\xff[^\0\xff\xd0-\xd7]", re.DOTALL
)  # in the pixels' data a marker is none if it restarts the decoder
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_SIZES = {0xC0 + number for number in range(16)} - {
    0xC4,
    0xC8,
    0xCC,
}  # markers of the segment that tells the size
_PROGRESSIVE = 0xC2
_READ = (
    0xC0,
    0xC1,
    _PROGRESSIVE,
)  # with Huffman coding, as the first two, baseline and extended: what every decoder reads
_SCAN, _ADOBE, _ALONE = 0xDA, 0xEE, (0x01, 0xD8)
GREY = 128  # what decoders fill in
# Decode to anything but grey; where one has the bits that are missing, the other has not.
_FILLINGS = (b"\xf6\xb5\x21\xc4\x93\x0e\xe7\x38" * 32, b"\x09\x4a\xde\x3b\x6c\xf1\x18\xc7" * 32)
_MOST_PIXELS = 2048  # for each byte, be they all of one colour
_MOST_ZEROS = 2  # that pixels' data may end with; more pad a buffer


class JpegFrame(NamedTuple):
    """What a JPEG says before its pixels, and where they are."""

    width: int
    height: int
    channels: int
    bits: int  # per channel
    is_common: bool  # of a kind that every decoder reads
    is_progressive: bool
    has_adobe_marker: bool  # which tells how four channels are meant
    scan_start: int  # of the last data of pixels
    scan_end: int
    has_end: bool  # is the end marker there?

    breaks_off: bool  # after the pixels, in the middle of what belongs to a picture

    @property
    def may_be_whole(self) -> bool:
        """Can all pixels be there? Where they cannot, decoding would only cost time and memory."""
        return not self.breaks_off and self.width * self.height <= _MOST_PIXELS * (
            self.scan_end - self.scan_start
        )


def read_jpeg(data: bytes) -> JpegFrame | None:
    """None: the data is no JPEG, or cut before its pixels.

    Segments are passed over by their lengths, so that the end of a thumbnail is not taken for that of the
    picture.
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
        if scan and data[at : at + 1] != b"\xff":  # damage that looks like a segment
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
    """The picture with an end marker behind its pixels."""
    return data if frame.has_end else _body(data, frame) + END


def looks_cut(data: bytes, frame: JpegFrame, pixels: np.ndarray) -> bool:
    """Are pixels missing, but for a part of the last block? pixels: (H, W, 3) or (H, W) uint8, what OpenCV
    decoded of `with_end`.

    Where they are, the last one is the decoder's grey; of a progressive picture only details may be missing.
    Other pictures are not decoded twice.
    """
    may_be = (pixels[-1, -1] == GREY).all() or (frame.is_progressive and not frame.has_end)
    return bool(may_be) and misses_data(data, frame, pixels)


def misses_data(data: bytes, frame: JpegFrame, pixels: np.ndarray) -> bool:
    """The same, by decoding again with something put behind the pixels' data: a whole picture does not
    change, of another it becomes the rest. Tells a cut picture from a grey scene, and misses not even the
    last bits."""
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
    """Up to the end of the pixels, without zeros that pad a buffer, and without half a marker."""
    body = data[: frame.scan_end]
    return body if frame.has_end else body[: len(body.rstrip(b"\0")) + _MOST_ZEROS].rstrip(b"\xff")
