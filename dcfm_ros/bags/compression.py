# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What compressed bytes of a recording become: bounded, as a file that is damaged, or meant to harm, must not
fill the memory."""

from __future__ import annotations

import shutil
import tempfile
import zlib
from contextlib import ExitStack
from pathlib import Path

import lz4.frame
from mcap.records import Chunk

from dcfm_ros.bags.errors import BagError
from dcfm_ros.bags.names import without_zstd

try:
    from compression import zstd
except ImportError:  # before Python 3.14; rosbags brings it
    from backports import zstd

MOST_BYTES = 2**30  # of a message or a chunk; recorders make chunks of some megabytes
ZSTD_MAGIC = bytes.fromhex("28b52ffd")  # a CDR message begins with 00


def decompressed(raw: bytes) -> bytes:
    """A message's CDR bytes where it was compressed alone.

    Others are returned as they are, and so is what cannot be decompressed: `Bag.decode` tells of it.
    """
    if raw[: len(ZSTD_MAGIC)] != ZSTD_MAGIC:
        return raw
    try:
        return _of_zstd(raw, MOST_BYTES)
    except ValueError:
        return raw


def unpacked_chunk(chunk: Chunk) -> bytes:
    """The records in a chunk of an .mcap; a ValueError where it is damaged, a BagError where it is too
    large."""
    size = chunk.uncompressed_size
    check_chunk(size)
    if chunk.compression == "zstd":
        data = _of_zstd(chunk.data, size)
    elif chunk.compression == "lz4":
        data = _of_lz4(chunk.data, size)
    elif chunk.compression == "":
        data = chunk.data
    else:
        raise BagError(
            f"chunks are compressed by {chunk.compression!r}, and zstd and lz4 are read: rewrite it with "
            f"`mcap compress`"
        )
    if len(data) != size or (chunk.uncompressed_crc and zlib.crc32(data) != chunk.uncompressed_crc):
        raise ValueError(f"a chunk of {size} bytes is not what its length and checksum say")
    return data


def check_chunk(size: int) -> None:
    """A BagError, without the file's name, where a chunk of so many bytes is too large."""
    if size > MOST_BYTES:
        raise BagError(
            f"a chunk of {size} bytes, and none may have more than {MOST_BYTES}: write it anew with smaller "
            f"ones (`mcap "
            "compress --chunk-size`), or where it is damaged repair it with `mcap recover`"
        )


def unpacked_file(packed: Path, stack: ExitStack) -> Path:
    """A file of the same name without its ending in the temporary folder, there until the stack is closed.
    Raises BagError."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dcfm_ros-")))
    plain = folder / without_zstd(packed.name)
    with packed.open("rb") as file:
        try:
            with zstd.open(file) as source, plain.open("wb") as target:
                shutil.copyfileobj(source, target, 2**20)
        except (zstd.ZstdError, EOFError) as error:
            raise BagError(
                f"{packed} is cut off or damaged ({error}): decompress what is whole of it with `zstd -d`"
            ) from error
        except OSError as error:
            raise BagError(
                f"{packed} cannot be decompressed to {folder.parent} ({error.strerror}): make room there, or "
                f"let TMPDIR "
                "name a folder on a larger disk"
            ) from error
    return plain


def _of_zstd(data: bytes, most: int) -> bytes:
    """Of one frame or several; a ValueError for what is damaged or larger."""
    plain, size = [], 0
    while data:
        decompressor = zstd.ZstdDecompressor()
        try:
            plain.append(decompressor.decompress(data, most - size + 1))
        except zstd.ZstdError as error:
            raise ValueError(str(error)) from error
        size += len(plain[-1])
        if not decompressor.eof or size > most:
            raise ValueError(f"compressed data is cut off, or becomes more than {most} bytes")
        data = decompressor.unused_data
    return b"".join(plain)


def _of_lz4(data: bytes, most: int) -> bytes:
    decompressor = lz4.frame.LZ4FrameDecompressor()
    try:
        plain = decompressor.decompress(data, max_length=most)
    except RuntimeError as error:
        raise ValueError(str(error)) from error
    if not decompressor.eof and not decompressor.needs_input:
        raise ValueError(f"compressed data becomes more than {most} bytes")
    return plain
