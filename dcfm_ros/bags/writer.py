# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""rosbags' writer, made safe for any folder name."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from rosbags.rosbag2 import CompressionMode, StoragePlugin, Writer
from rosbags.rosbag2.storage_sqlite3 import Sqlite3Writer


class _SqliteWriter(Sqlite3Writer):
    """Escapes the path: rosbags puts it into a URI unchanged, where `#`, `?` and `%` have a meaning, so that
    it would write to another file."""

    def __init__(self, path: Path, compression: CompressionMode):
        self.path = path / f"{path.name}.db3"
        self.conn = sqlite3.connect(self.path)
        self.conn.executescript(self.SQLITE_SCHEMA)
        self.cursor = self.conn.cursor()


class BagWriter(Writer):
    """See `rosbags.rosbag2.Writer`."""

    STORAGE_PLUGINS = {**Writer.STORAGE_PLUGINS, StoragePlugin.SQLITE3: _SqliteWriter}
