# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parsing of the first bits of a video packet: whether decoding can start with it, and its parameter sets.

The bitstream decides, since the flags of messages are not consistent. Decoding can start with an IDR picture
of H.264, an IRAP picture of H.265 (IDR, CRA, BLA), a shown key frame of AV1, or a key frame of VP9.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from dcfm_ros.pipeline.frames import InputError

START_CODE = b"\0\0\1"  # before each NAL unit of an Annex B stream
_H264_SLICES, _H264_KEY, _H264_SETS = frozenset((1, 2, 3, 4, 5)), frozenset((5,)), {7: "SPS", 8: "PPS"}
_H265_SLICES, _H265_KEY, _H265_SETS = (
    frozenset(range(32)),
    frozenset(range(16, 22)),
    {32: "VPS", 33: "SPS", 34: "PPS"},
)
_CLEAN = frozenset((5, 19, 20))  # IDR pictures of both codecs; 5 is not a key picture of H.265
_AV1_SEQUENCE, _AV1_FRAME_HEADER, _AV1_FRAME, _AV1_KEY_FRAME = 1, 3, 6, 0


class VideoError(InputError):
    """A packet without a decodable picture; the text names the value and the remedy.

    `kind` is a stable word for counters: "encoding" (the topic's codec, or its format, is not supported),
    "packet" (damaged), "key" (waiting for a key picture), "parameters" (a key picture without parameter
    sets), "picture" (contains none), "overrun".
    """


class Contents(NamedTuple):
    """Contents of a packet."""

    is_key: bool  # decoding can start here
    is_clean: bool  # nothing after this depends on earlier packets, unlike pictures after a CRA
    has_picture: bool  # False: only parameter sets and other side information
    sets: dict[str, bytes]  # parameter sets by name, with their start codes
    picture: bytes = b""  # beginning of the first NAL unit with a picture; H.264 and H.265 only


class Codec(NamedTuple):
    """A supported codec."""

    name: str
    decoder: str  # FFmpeg's name for it
    sets: tuple[str, ...]  # parameter sets that a key picture needs
    key: str  # the codec's term for a key picture


CODECS = {
    "h264": Codec("H.264", "h264", ("SPS", "PPS"), "an IDR picture"),
    "h265": Codec("H.265", "hevc", ("VPS", "SPS", "PPS"), "an IDR, CRA or BLA picture"),
    "av1": Codec("AV1", "libdav1d", ("sequence header",), "a key frame"),
    "vp9": Codec("VP9", "vp9", (), "a key frame"),
}


def parse_packet(codec: str, data: bytes) -> Contents:
    """Parse a packet. codec: a key of CODECS. Raises VideoError if the data is not such a packet."""
    if not data:
        raise VideoError(
            "picture",
            "a video packet has no data: its publisher could not encode the picture, and its log says why",
        )
    return {"h264": _h264, "h265": _h265, "av1": _av1, "vp9": _vp9}[codec](data)


def _h264(data: bytes) -> Contents:
    return _annex_b("H.264", data, (0, 31), _H264_SLICES, _H264_KEY, _H264_SETS)


def _h265(data: bytes) -> Contents:
    return _annex_b("H.265", data, (1, 63), _H265_SLICES, _H265_KEY, _H265_SETS)


def _annex_b(name, data, type_bits, slices, key, names) -> Contents:
    """Parse an Annex B stream. type_bits: shift and mask that extract the type from a NAL unit's first
    byte"""
    if data[:3] != START_CODE and data[:4] != b"\0" + START_CODE:
        raise VideoError(
            "encoding",
            f"a video packet begins with {data[:4].hex(' ')}, which is not a start code of {name}: publish "
            "the Annex B form, not that of MP4 files, and whole access units",
        )
    sets: dict[str, bytes] = {}
    for begin, end in _units(data):
        if begin == end:
            continue
        kind = data[begin] >> type_bits[0] & type_bits[1]
        if kind in slices:
            return Contents(kind in key, kind in key & _CLEAN, True, sets, data[begin : begin + 64])
        if kind in names:
            sets[names[kind]] = sets.get(names[kind], b"") + b"\0" + START_CODE + data[begin:end]
    return Contents(False, False, False, sets)


def _units(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield begin and end of each NAL unit. Lazy, so that data after the first slice is not searched."""
    at = data.find(START_CODE)
    while at >= 0:
        begin, at = at + 3, data.find(START_CODE, at + 3)
        yield begin, at if at >= 0 else len(data)


def _av1(data: bytes) -> Contents:
    sets: dict[str, bytes] = {}
    at = 0
    while at < len(data):
        header, begin = data[at], at + (2 if data[at] & 4 else 1)
        size = len(data) - begin
        if header & 2:
            size, begin = _leb128(data, begin)
        if header & 0x81 or begin + size > len(data):  # these bits must be 0
            raise VideoError(
                "packet",
                f"a video packet of {len(data)} bytes is not a sequence of AV1 OBUs: publish the low "
                "overhead format, whole temporal units, and look for a lossy network if it happens now and "
                "then",
            )
        kind = header >> 3 & 15
        if kind == _AV1_SEQUENCE:
            sets["sequence header"] = data[at : begin + size]
        elif kind in (_AV1_FRAME_HEADER, _AV1_FRAME) and size:
            first = data[begin]  # show_existing_frame, two bits of the frame's type, show_frame
            is_key = not first & 0x80 and first >> 5 & 3 == _AV1_KEY_FRAME and bool(first & 0x10)
            return Contents(is_key, is_key, True, sets)
        at = begin + size
    return Contents(False, False, False, sets)


def _leb128(data: bytes, at: int) -> tuple[int, int]:
    """Return an AV1 leb128 number and the position after it; an unterminated one is larger than any
    packet."""
    value = 0
    for place in range(8):
        if at >= len(data):
            break
        byte, at = data[at], at + 1
        value |= (byte & 127) << 7 * place
        if byte < 128:
            return value, at
    return len(data) + 1, at


def _vp9(data: bytes) -> Contents:
    # marker, two bits of the profile, show_existing_frame, frame_type
    bits = f"{int.from_bytes(data[:2], 'big'):016b}"
    if bits[:2] != "10" or len(data) < 2:
        raise VideoError(
            "packet",
            f"a video packet of {len(data)} bytes does not begin like a VP9 frame: publish whole frames, and "
            "look for a lossy network if it happens now and then",
        )
    at = 5 if bits[2:4] == "11" else 4
    is_key = bits[at : at + 2] == "00"
    return Contents(is_key, is_key, True, {})
