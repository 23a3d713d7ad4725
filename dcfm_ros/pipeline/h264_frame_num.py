# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Detection of lost H.264 pictures by their numbers (`frame_num`): FFmpeg silently conceals a gap with wrong
pictures.

Syntax: ITU-T H.264, sections 7.3.2.1.1 and 7.3.3.
"""

from __future__ import annotations

_HIGH_PROFILES = frozenset((100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135))
_IDR = 5
_IN_SPS, _IN_SLICE = 512, 32  # number of bytes that are parsed


class _Bits:
    """Bit reader of a NAL unit, after its first byte. Reading past the end raises IndexError."""

    def __init__(self, unit: bytes):
        data = unit[1:].replace(b"\0\0\3", b"\0\0")  # removes emulation prevention bytes
        self._bits, self._at = "".join(f"{byte:08b}" for byte in data), 0

    def u(self, count: int) -> int:
        if self._at + count > len(self._bits):
            raise IndexError
        self._at += count
        return int(self._bits[self._at - count : self._at] or "0", 2)

    def ue(self) -> int:
        zeros = self._bits.index("1", self._at) - self._at
        self._at += zeros
        return self.u(zeros + 1) - 1

    def se(self) -> int:
        code = self.ue()
        return (code + 1) // 2 if code % 2 else -(code // 2)


class FrameNumbers:
    """Finds gaps between the pictures of a stream, in decoding order. Reports none if the stream allows gaps
    or cannot be parsed."""

    def __init__(self):
        self._bits_of_number = 0  # 0: unknown
        self._has_colour_planes = False
        self._reference: int | None = None  # number of the newest reference picture

    def parameters(self, sps: bytes) -> None:
        """Read a sequence parameter set. sps: the NAL unit, from its first byte"""
        try:
            self._bits_of_number = self._read(_Bits(sps[:_IN_SPS]))
        except (IndexError, ValueError):
            self._bits_of_number = 0

    def picture(self, unit: bytes) -> bool:
        """Return whether a picture is missing before this one. unit: its first NAL unit, or the beginning of
        it"""
        if not self._bits_of_number:
            return False
        bits, is_reference = _Bits(unit[:_IN_SLICE]), unit[0] >> 5 & 3 != 0
        try:
            for _ in ("first_mb_in_slice", "slice_type", "pic_parameter_set_id"):
                bits.ue()
            bits.u(2 if self._has_colour_planes else 0)
            number = bits.u(self._bits_of_number)
        except (IndexError, ValueError):
            return False  # the decoder will report it
        before, modulus = self._reference, 1 << self._bits_of_number
        if is_reference:
            self._reference = number
        return unit[0] & 31 != _IDR and before is not None and (number - before) % modulus > 1

    def restart(self) -> None:
        """Start again: the next picture has no predecessor."""
        self._reference = None

    def _read(self, bits: _Bits) -> int:
        """Return the number of bits of a picture's number, from an SPS; 0 if gaps are allowed."""
        profile = bits.u(8)
        bits.u(16)  # constraints, level
        bits.ue()  # its own number
        self._has_colour_planes = False
        if profile in _HIGH_PROFILES:
            chroma = bits.ue()
            self._has_colour_planes = chroma == 3 and bool(bits.u(1))
            bits.ue(), bits.ue(), bits.u(1)  # bits of brightness and colours, lossless bypass
            if bits.u(1):
                for index in range(12 if chroma == 3 else 8):
                    if bits.u(1):
                        _skip_scaling_list(bits, 16 if index < 6 else 64)
        width = bits.ue() + 4
        order = bits.ue()
        if order == 0:
            bits.ue()
        elif order == 1:
            bits.u(1), bits.se(), bits.se()
            for _ in range(bits.ue()):
                bits.se()
        bits.ue()  # reference pictures
        return 0 if bits.u(1) else width


def _skip_scaling_list(bits: _Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.se()) % 256
        last = following or last
