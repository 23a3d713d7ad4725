# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""PNG pictures from anyone, before OpenCV decodes them: what they claim, and what of them it needs.

A PNG is a signature and chunks, each of a length, a name, its content and a checksum (W3C, Portable Network
Graphics, third edition).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

PNG_START = b"\x89PNG\r\n\x1a\n"
_GREY, _GREY_ALPHA = 0, 4
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by its number for them; 3 is a palette
_MOST_DEFLATED = 1032  # bytes that one of deflate can mean
_OPTIONAL = 0x20  # bit of a name's first letter, which is small then
_TRANSPARENCY, _END = b"tRNS", b"\0\0\0\0IEND\xaeB`\x82"


class PngHeader(NamedTuple):
    """Header of a PNG."""

    width: int
    height: int
    bits: int  # per channel
    kind: int  # PNG's number for its channels
    size: int  # of the file, in bytes
    breaks_off: bool  # a chunk reaches beyond the end of the file

    @property
    def is_grey(self) -> bool:
        return self.kind in (_GREY, _GREY_ALPHA)

    @property
    def may_be_whole(self) -> bool:
        """Whether the data can be complete; if not, decoding would only cost time and memory: OpenCV reserves
        what a chunk claims to have, up to gigabytes."""
        row_bits = self.width * self.bits * _CHANNELS.get(self.kind, 1)
        fits = self.height * (1 + row_bits // 8) <= _MOST_DEFLATED * self.size
        return fits and not self.breaks_off


def read_png(data: bytes) -> PngHeader | None:
    """Return the header of a PNG; None if the data is not one."""
    if not data.startswith(PNG_START) or data[12:16] != b"IHDR" or len(data) < 26:
        return None
    width, height = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))
    breaks_off = any(chunk.stop > len(data) for chunk, _ in _chunks(data))
    return PngHeader(width, height, data[24], data[25], len(data), breaks_off)


def pixels_alone(data: bytes) -> bytes:
    """Return a PNG, whole as to its chunks, without those that do not make its pixels: texts, profiles,
    animations.

    OpenCV 5.0 reads out of bounds, and ends the process, where the chunks of an animation are damaged.
    """
    kept = [data[chunk] for chunk, name in _chunks(data) if not name[0] & _OPTIONAL or name == _TRANSPARENCY]
    return b"".join((PNG_START, *kept, _END))


def _chunks(data: bytes) -> Iterator[tuple[slice, bytes]]:
    """Yield the place and the name of each chunk but the last, which is empty, and may be missing."""
    at = len(PNG_START)
    while at + 8 <= len(data) and (name := data[at + 4 : at + 8]) != b"IEND":
        begin = at
        at += int.from_bytes(data[at : at + 4], "big") + 12
        yield slice(begin, at), name
