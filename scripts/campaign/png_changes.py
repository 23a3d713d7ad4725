# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Changes that damage PNG pictures where checksums do not tell: in their chunks, and in their pixels."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from functools import cache
from random import Random

from campaign.mutations import mutated
from dcfm_ros.pipeline.png import PNG_START

Chunk = tuple[bytes, bytes]  # name and content


def png_chunks(data: bytes, random: Random) -> bytes:
    """Change chunks of a PNG; checksums fit."""
    chunks = _chunks(data)
    which = random.randrange(len(chunks))
    kind, content = chunks[which]
    change = random.randrange(5)
    if change == 0:
        width, height = (random.choice((0, 1, 13, 2**14, 50_000, 2**31 - 1, 2**32 - 1)) for _ in range(2))
        rest = bytes(
            (random.choice((1, 2, 4, 8, 16)), random.choice((0, 2, 3, 4, 6)), 0, 0, random.choice((0, 1)))
        )
        which, kind, content = 0, b"IHDR", struct.pack(">II", width, height) + rest
    elif change == 1:
        bomb = _bomb()
        new = random.choice(
            (
                b"tEXtRaw profile type exif\0x",
                b"zTXta\0\0" + bomb,
                b"iTXtXML:com.adobe.xmp\0\1\0\0\0" + bomb,
                b"iCCPa\0\0" + bomb,
                b"eXIfMM\0*\0\0\0\x08\xff\xff",
                b"acTL\xff\xff\xff\xff\0\0\0\0",
                b"PLTE\0",
                b"tRNS\0",
            )
        )
        chunks.insert(1, (new[:4], new[4:]))
        which += which > 0
    elif change == 2:
        chunks.insert(which, (kind, content))
    else:
        content = mutated(content, random)
    chunks[which] = kind, content
    return png(chunks)


@cache
def _bomb() -> bytes:
    return zlib.compress(bytes(10**7), 9)


def png_pixels(data: bytes, random: Random) -> bytes:
    """Change what the pixels of a PNG are made of, its rows and their filters; checksums fit."""
    chunks = _chunks(data)
    held = [number for number, (kind, _) in enumerate(chunks) if kind in (b"IDAT", b"fdAT")]
    which = random.choice(held)
    kind, content = chunks[which]
    head = content[:4] if kind == b"fdAT" else b""  # its place in the animation
    rows = mutated(zlib.decompress(content[len(head) :]), random)
    chunks[which] = kind, head + zlib.compress(rows)
    return png(chunks)


def _chunks(data: bytes) -> list[Chunk]:
    chunks, at = [], len(PNG_START)
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += length + 12
    return chunks


def png(chunks: Sequence[Chunk]) -> bytes:
    """Return the PNG of these chunks, with their checksums."""
    return PNG_START + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )
