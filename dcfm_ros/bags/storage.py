# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files of recordings: which are in a folder, by their names, and opening one by what is in it."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from dcfm_ros.bags import sqlite_file
from dcfm_ros.bags.compression import ZSTD_MAGIC, unpacked_file
from dcfm_ros.bags.errors import BagError, naming
from dcfm_ros.bags.mcap_file import McapFile
from dcfm_ros.bags.mcap_index import MAGIC as MCAP_MAGIC
from dcfm_ros.bags.names import STORAGES, storage_stem, without_zstd
from dcfm_ros.bags.sqlite_file import SqliteFile
from dcfm_ros.sources.names import natural_key

_NO_RECORDINGS = {  # what other files begin with, and what they are
    b"#ROSBAG": "a recording of ROS 1: convert it with `rosbags-convert --src {path} --dst {path.stem}`",
    b"version https://git-lfs": "a pointer of Git LFS and not the file itself: fetch that with `git lfs "
    "pull`",
    **dict.fromkeys(
        (b"\x1f\x8b", b"PK\3\4", b"\xfd7zXZ", b"7z\xbc\xaf", b"BZh", b"\x04\x22\x4d\x18"),
        "compressed in a way that is not read: decompress it, or compress it with `zstd`",
    ),
}


def storage_files(folder: Path) -> list[Path]:
    """The files of a recording's folder in natural order of their names; of one that lies there decompressed
    as well, that."""
    files = {file.name: file for file in folder.iterdir() if storage_stem(file.name) and file.is_file()}
    return [
        files[name]
        for name in sorted(files, key=natural_key)
        if without_zstd(name) == name or without_zstd(name) not in files
    ]


def open_storage(file: Path, stack: ExitStack, named: Path | None = None) -> McapFile | SqliteFile:
    """Open a file by what is in it, whatever its name. Raises BagError, and OSError where the system fails.

    stack: closes what was opened
    named: what to call the file in texts
    """
    named = named or file
    with naming(named), file.open("rb") as stream:
        start = stream.read(512)
    if start.startswith(ZSTD_MAGIC):
        return open_storage(unpacked_file(file, stack), stack, named)
    if start.startswith(MCAP_MAGIC):
        return McapFile(file, named)
    if not start.startswith(sqlite_file.MAGIC):
        raise BagError(f"{named} is {_refusal(named, start)}")
    storage = SqliteFile(file, named)
    stack.callback(storage.close)
    return storage


def _refusal(file: Path, start: bytes) -> str:
    for magic, text in _NO_RECORDINGS.items():
        if start.startswith(magic):
            return text.format(path=file)
    if start[257:262] == b"ustar":
        return "a tar archive: unpack it, and give what lies in it"
    if not start:
        return "empty: its recorder wrote nothing, or copying it failed"
    return (
        f"no recording: it begins neither as {' nor as '.join(STORAGES)} files do; copy it again, or give "
        f"another"
    )
