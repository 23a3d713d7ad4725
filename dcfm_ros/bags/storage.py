# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Storage files of recordings: lists them by name, and opens them by content."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from dcfm_ros.bags import sqlite_file
from dcfm_ros.bags.compression import ZSTD_MAGIC, decompressed_file
from dcfm_ros.bags.errors import BagError, read_errors_for
from dcfm_ros.bags.mcap_file import McapFile
from dcfm_ros.bags.mcap_index import MAGIC as MCAP_MAGIC
from dcfm_ros.bags.names import STORAGES, storage_stem, without_zstd
from dcfm_ros.bags.sqlite_file import SqliteFile
from dcfm_ros.sources.names import natural_key

_NO_RECORDINGS = {  # first bytes of other files, and what those are
    b"#ROSBAG": "a recording of ROS 1: convert it with `rosbags-convert --src {path} --dst {path.stem}`",
    b"version https://git-lfs": "a Git LFS pointer, not the file itself: fetch the file with `git lfs pull`",
    **dict.fromkeys(
        (b"\x1f\x8b", b"PK\3\4", b"\xfd7zXZ", b"7z\xbc\xaf", b"BZh", b"\x04\x22\x4d\x18"),
        "compressed in an unsupported format: decompress it, or compress it with `zstd`",
    ),
}


def storage_files(folder: Path) -> list[Path]:
    """Return the storage files of a recording's folder in natural order; of a file that exists compressed and
    decompressed, the decompressed one."""
    files = {file.name: file for file in folder.iterdir() if storage_stem(file.name) and file.is_file()}
    return [
        files[name]
        for name in sorted(files, key=natural_key)
        if without_zstd(name) == name or without_zstd(name) not in files
    ]


def open_storage(file: Path, stack: ExitStack, named: Path | None = None) -> McapFile | SqliteFile:
    """Open a file by its content, whatever its name. Raises BagError, and OSError if the system fails.

    stack: closes what was opened
    named: the file's name in messages to the user
    """
    named = named or file
    with read_errors_for(named), file.open("rb") as stream:
        start = stream.read(512)
    if start.startswith(ZSTD_MAGIC):
        return open_storage(decompressed_file(file, stack), stack, named)
    if start.startswith(MCAP_MAGIC):
        return McapFile(file, named)
    if not start.startswith(sqlite_file.MAGIC):
        raise BagError(f"{named} is {_refusal(named, start)}")
    storage = SqliteFile(file, named)
    stack.callback(storage.close)
    return storage


def _refusal(file: Path, start: bytes) -> str:
    """Return what a file is instead, with the remedy, from its first bytes."""
    for magic, text in _NO_RECORDINGS.items():
        if start.startswith(magic):
            return text.format(path=file)
    if start[257:262] == b"ustar":
        return "a tar archive: unpack it, and give the recording inside"
    if not start:
        return "empty: its recorder wrote nothing, or a copy failed"
    return (
        f"not a recording: it starts neither like {' nor like '.join(STORAGES)} files; copy it again, or "
        "give another"
    )
