# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Names of recordings' files. Standard library only: the camera node looks at names before it loads what reads recordings."""

from __future__ import annotations

METADATA_FILE = "metadata.yaml"
STORAGES = (".mcap", ".db3")
UNFINISHED = ".partial"               # ending of the folder of an output that is not finished
_ZSTD_ENDINGS = (".zstd", ".zst")     # rosbag2's, and that of the command


def without_zstd(name: str) -> str:
    """The name of a file when it is decompressed."""
    return next((name[:-len(ending)] for ending in _ZSTD_ENDINGS if name.lower().endswith(ending)), name)


def storage_stem(name: str) -> str:
    """A file's name without the ending that makes it one of a recording, in capitals or not, compressed or not; "" for others, and for
    hidden files, as macOS puts them beside each."""
    plain = without_zstd(name)
    ending = next((ending for ending in STORAGES if plain.lower().endswith(ending)), None)
    return plain[:-len(ending)] if ending and not name.startswith(".") else ""
