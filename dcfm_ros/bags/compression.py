# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What compressed bytes of a recording may become: a file that is damaged, or meant to harm, must not fill the memory."""

from __future__ import annotations

try:
    from compression.zstd import ZstdDecompressor, ZstdError
except ImportError:   # before Python 3.14; rosbags brings it
    from backports.zstd import ZstdDecompressor, ZstdError

MOST_BYTES = 2**30                  # of a message or a chunk; recorders make chunks of some megabytes
_ZSTD = bytes.fromhex("28b52ffd")   # a CDR message begins with 00


def decompressed(raw: bytes) -> bytes:
    """A message's CDR bytes where it was compressed alone, and metadata.yaml, which says so, was not read.

    Others are returned as they are, and so is what cannot be decompressed: `Bag.decode` tells of it.
    """
    if raw[:len(_ZSTD)] != _ZSTD:
        return raw
    decompressor = ZstdDecompressor()
    try:
        plain = decompressor.decompress(raw, MOST_BYTES)
    except ZstdError:
        return raw
    return plain if decompressor.eof else raw
