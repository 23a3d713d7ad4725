# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Label Studio's run-length coding of brush masks (that of the library rle-pack, on RGBA pixels)."""

from __future__ import annotations

import numpy as np

_WORD = 8  # bits of a value
_SIZES = (3, 4, 8, 16)  # bits that a length may have; one of them is named before each length
_CHANNELS = 4  # of a pixel: red, green, blue, opacity, all the same
_LONGEST = 1 << _SIZES[-1]


def encode_brush(mask: np.ndarray) -> list[int]:
    """Return the bytes of a mask (H, W) bool, row by row.

    A stream of bits, the highest of a byte first: number of values (32 bits), bits of a value - 1 (5), bits
    of the four sizes - 1 (4 each); then for each run 1, the number of its size (2), its length - 1, its
    value.
    """
    values = mask.reshape(-1)
    starts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
    lengths = np.diff(np.append(starts, values.size)) * _CHANNELS
    bits = [_bits(values.size * _CHANNELS, 32), _bits(_WORD - 1, 5)]
    bits += [_bits(size - 1, 4) for size in _SIZES]
    for length, value in zip(lengths.tolist(), (values[starts] * 255).tolist()):
        while length > 0:
            part = min(length, _LONGEST)
            which = next(number for number, size in enumerate(_SIZES) if part <= 1 << size)
            bits += ["1", _bits(which, 2), _bits(part - 1, _SIZES[which]), _bits(value, _WORD)]
            length -= part
    return np.packbits(np.frombuffer("".join(bits).encode(), np.uint8) - ord("0")).tolist()


def _bits(number: int, count: int) -> str:
    return f"{number:0{count}b}"
