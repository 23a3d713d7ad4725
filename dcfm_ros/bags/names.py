# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Names of recordings' files. Standard library only: the camera node checks names before it loads the
libraries that read recordings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

METADATA_FILE = "metadata.yaml"
STORAGES = (".mcap", ".db3")
UNFINISHED = ".partial"  # suffix of an unfinished output's folder
_OF_SQLITE = ("-wal", "-shm", "-journal")  # suffixes of files that SQLite keeps beside the database
_ZSTD_ENDINGS = (".zstd", ".zst")  # that of rosbag2, and that of the zstd command


def numbered(names: Sequence[str]) -> list[str]:
    """Return the names made unique: repeated ones get a number."""
    unique: list[str] = []
    for name in names:
        tried, number = name, 1
        while tried in unique or (number > 1 and tried in names):
            number += 1
            tried = f"{name}_{number}"
        unique.append(tried)
    return unique


def without_zstd(name: str) -> str:
    """Return the name of a file after decompression."""
    return next((name[: -len(ending)] for ending in _ZSTD_ENDINGS if name.lower().endswith(ending)), name)


def storage_stem(name: str) -> str:
    """Return a file's name without its storage suffix, in upper or lower case, compressed or not; "" for
    files that are not part of a recording, and for hidden files, which macOS creates beside each file."""
    plain = without_zstd(name)
    ending = next((ending for ending in STORAGES if plain.lower().endswith(ending)), None)
    return plain[: -len(ending)] if ending and not name.startswith(".") else ""


def recording_path(path: Path) -> Path:
    """Return the recording that a path means: the folder for metadata.yaml, and the database for files that
    SQLite keeps beside it, which the shell's `drive/*` lists as well. Other paths are returned unchanged."""
    if path.name == METADATA_FILE and path.is_file():
        return path.parent
    main = next((path.name.removesuffix(ending) for ending in _OF_SQLITE if path.name.endswith(ending)), "")
    return path.with_name(main) if storage_stem(main) and path.with_name(main).is_file() else path
