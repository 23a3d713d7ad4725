# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Names of recordings' files. Standard library only: the camera node looks at names before it loads what
reads recordings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

METADATA_FILE = "metadata.yaml"
STORAGES = (".mcap", ".db3")
UNFINISHED = ".partial"  # ending of the folder of an output that is not finished
_OF_SQLITE = ("-wal", "-shm", "-journal")  # endings of files that SQLite keeps beside its own
_ZSTD_ENDINGS = (".zstd", ".zst")  # rosbag2's, and that of the command


def numbered(names: Sequence[str]) -> list[str]:
    """The same names, each once: what is taken already gets a number."""
    unique: list[str] = []
    for name in names:
        tried, number = name, 1
        while tried in unique or (number > 1 and tried in names):
            number += 1
            tried = f"{name}_{number}"
        unique.append(tried)
    return unique


def without_zstd(name: str) -> str:
    """The name of a file when it is decompressed."""
    return next((name[: -len(ending)] for ending in _ZSTD_ENDINGS if name.lower().endswith(ending)), name)


def storage_stem(name: str) -> str:
    """A file's name without the ending that makes it one of a recording, in capitals or not, compressed or
    not; "" for others, and for hidden files, as macOS puts them beside each."""
    plain = without_zstd(name)
    ending = next((ending for ending in STORAGES if plain.lower().endswith(ending)), None)
    return plain[: -len(ending)] if ending and not name.startswith(".") else ""


def stands_for(path: Path) -> Path:
    """What a file beside a recording's means, as the shell's `drive/*` gives them all: metadata.yaml its
    folder, and what SQLite keeps beside its file that file. Any other path is itself."""
    if path.name == METADATA_FILE and path.is_file():
        return path.parent
    main = next((path.name.removesuffix(ending) for ending in _OF_SQLITE if path.name.endswith(ending)), "")
    return path.with_name(main) if storage_stem(main) and path.with_name(main).is_file() else path
