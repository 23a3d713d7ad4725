# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Decompresses parts of recordings, with a limit on the size: a damaged or malicious file must not fill the
memory."""

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
except ImportError:  # before Python 3.14; a dependency of rosbags
    from backports import zstd

MAX_BYTES = 2**30  # limit for a message or a chunk; recorders write chunks of some megabytes
ZSTD_MAGIC = bytes.fromhex("28b52ffd")  # a CDR message starts with 00


def decompressed(raw: bytes) -> bytes:
    """Return a message's CDR bytes, decompressed if the message was compressed on its own.

    Other bytes are returned unchanged, and so are bytes that cannot be decompressed: `Bag.decode` reports
    those.
    """
    if raw[: len(ZSTD_MAGIC)] != ZSTD_MAGIC:
        return raw
    try:
        return _of_zstd(raw, MAX_BYTES)
    except ValueError:
        return raw


def decompressed_chunk(chunk: Chunk) -> bytes:
    """Return the records in a chunk of an .mcap. Raises ValueError if the chunk is damaged, and BagError if
    it is too large."""
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
            f"chunks are compressed with {chunk.compression!r}, but only zstd and lz4 can be read: rewrite "
            "it with `mcap compress`"
        )
    if len(data) != size or (chunk.uncompressed_crc and zlib.crc32(data) != chunk.uncompressed_crc):
        raise ValueError(f"a chunk of {size} bytes does not match its length and checksum")
    return data


def check_chunk(size: int) -> None:
    """Raise BagError, without the file's name, if a chunk of this size is too large."""
    if size > MAX_BYTES:
        raise BagError(
            f"a chunk of {size} bytes, but the limit is {MAX_BYTES}: rewrite the file with smaller ones "
            "(`mcap compress --chunk-size`), or where it is damaged repair it with `mcap recover`"
        )


def decompressed_file(packed: Path, stack: ExitStack) -> Path:
    """Decompress a file into the temporary folder, under its name without the compression suffix; it is
    removed when the stack is closed. Raises BagError."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dcfm_ros-")))
    plain = folder / without_zstd(packed.name)
    with packed.open("rb") as file:
        try:
            with zstd.open(file) as source, plain.open("wb") as target:
                shutil.copyfileobj(source, target, 2**20)
        except (zstd.ZstdError, EOFError) as error:
            raise BagError(
                f"{packed} is truncated or damaged ({error}): recover the intact part with `zstd -d`"
            ) from error
        except OSError as error:
            raise BagError(
                f"{packed} cannot be decompressed to {folder.parent} ({error.strerror}): free space there, "
                "or let TMPDIR name a folder on a larger disk"
            ) from error
    return plain


def _of_zstd(data: bytes, most: int) -> bytes:
    """Decompress one or several zstd frames; raise ValueError if they are damaged or larger than `most`
    bytes."""
    plain, size = [], 0
    while data:
        decompressor = zstd.ZstdDecompressor()
        try:
            plain.append(decompressor.decompress(data, most - size + 1))
        except zstd.ZstdError as error:
            raise ValueError(str(error)) from error
        size += len(plain[-1])
        if not decompressor.eof or size > most:
            raise ValueError(f"compressed data is truncated, or expands to more than {most} bytes")
        data = decompressor.unused_data
    return b"".join(plain)


def _of_lz4(data: bytes, most: int) -> bytes:
    decompressor = lz4.frame.LZ4FrameDecompressor()
    try:
        plain = decompressor.decompress(data, max_length=most)
    except RuntimeError as error:
        raise ValueError(str(error)) from error
    if not decompressor.eof and not decompressor.needs_input:
        raise ValueError(f"compressed data expands to more than {most} bytes")
    return plain
