# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One .db3 file of a recording."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import apsw

from dcfm_ros.bags.errors import BagError, read_errors_for
from dcfm_ros.bags.topic import (
    Key,
    Topic,
    full_type,
    known_digest,
    merge_topics,
    read_qos,
    read_serialization,
)

MAGIC = b"SQLite format 3\0"
_USABLE = "typeof(timestamp) = 'integer' AND typeof(data) = 'blob'"  # SQLite stores any type in any column
_JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")  # start of a journal that still has to be rolled back


class SqliteFile:
    """Yields messages in order of log time; attributes as in `McapFile`. Not thread-safe."""

    def __init__(self, path: Path, named: Path):
        self.path = named
        path = path.resolve()  # follow links: journal and log are beside the file itself
        if _begins_with(f"{path}-journal", _JOURNAL_MAGIC):
            raise BagError(
                f"{named} has an unfinished transaction in {path.name}-journal: wait for its recorder to "
                f"finish, or if it was killed, roll back with `sqlite3 {named} 'PRAGMA user_version'`"
            )
        # The write-ahead log that a killed recorder left belongs to the recording. SQLite reads it
        # through a small index file, which it creates beside it. Nothing else is written or locked.
        self._has_wal = _begins_with(f"{path}-wal", b"")
        uri = f"file:{quote(os.fsencode(path))}?" + ("mode=ro" if self._has_wal else "immutable=1")
        with self._read_errors("cannot be opened"):
            self._database = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
            try:
                self._read_topics()
            except BaseException:
                self.close()
                raise

    def messages(self, keys: set[Key]) -> Iterator[tuple[Key, int, bytes]]:
        """Yield (topic key, log time in ns, bytes) of these topics. Raises BagError if the file is damaged,
        and OSError."""
        numbers = [number for number, key in self._keys.items() if key in keys]
        marks = ", ".join("?" * len(numbers))
        with self._read_errors("is damaged"):
            for number, log_ns, raw in self._database.execute(
                f"SELECT topic_id, timestamp, data FROM messages WHERE topic_id IN ({marks}) "
                f"AND {_USABLE} ORDER BY timestamp, rowid",
                numbers,
            ):
                yield self._keys[number], log_ns, raw

    def close(self) -> None:
        self._database.close()

    def _read_topics(self) -> None:
        tables = {
            name for (name,) in self._database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        }
        if not {"topics", "messages"} <= tables:
            raise BagError(f"{self.path} is a database without ROS messages: give a recording of ROS 2")
        # older versions have fewer columns
        there = {row[1] for row in self._database.execute("PRAGMA table_info(topics)")}
        columns = ", ".join(
            name if name in there else "''"
            for name in (
                "name",
                "type",
                "serialization_format",
                "offered_qos_profiles",
                "type_description_hash",
            )
        )
        definitions = {}
        if "message_definitions" in tables:
            definitions = dict(
                self._database.execute(
                    "SELECT topic_type, encoded_message_definition FROM message_definitions"
                )
            )
        counts, self.start_ns, self.last_ns = {}, 2**63 - 1, -(2**63)
        for number, count, first_ns, last_ns in self._database.execute(
            f"SELECT topic_id, count(*), min(timestamp), max(timestamp) FROM messages WHERE {_USABLE} GROUP "
            f"BY topic_id"
        ):
            counts[number] = count
            self.start_ns, self.last_ns = min(self.start_ns, first_ns), max(self.last_ns, last_ns)
        rows = self._database.execute(f"SELECT id, {columns} FROM topics ORDER BY id")
        self.topics, self._keys, self.counts = merge_topics(
            (
                number,
                Topic(
                    name,
                    full_type(kind),
                    definitions.get(kind) or "",
                    known_digest(digest),
                    read_qos(qos),
                    serialization=read_serialization(serialization),
                ),
                counts.get(number, 0),
            )
            for number, name, kind, serialization, qos, digest in rows
        )
        self.count = self.counts.total()
        ((every,),) = self._database.execute("SELECT count(*) FROM messages").fetchall()
        left_out = int(every or 0) - self.count
        self.note = (
            f"{self.path.name} contains {left_out} messages without a topic, a time or data: ignored"
            if left_out
            else ""
        )

    @contextmanager
    def _read_errors(self, what: str) -> Iterator[None]:
        """Raise errors of SQLite as BagError or OSError that name the file and the remedy."""
        with read_errors_for(self.path):
            try:
                yield
            except apsw.CantOpenError as error:
                if not self._has_wal:
                    raise OSError(errno.EIO, str(error)) from error
                raise BagError(
                    f"{self.path} has its last messages in {self.path.name}-wal, which can only be read if "
                    "the folder is writable: copy both to another folder"
                ) from error
            except apsw.BusyError as error:
                raise BagError(f"{self.path} is being written to: wait for its recorder to finish") from error
            except (apsw.IOError, OSError, BagError):
                raise
            except Exception as error:  # corrupt input can raise anything
                raise BagError(
                    f"{self.path} {what}: {error}; repair it with `sqlite3 {self.path} .recover`"
                ) from error


def _begins_with(path: str, magic: bytes) -> bool:
    """Return whether the file exists, is not empty and starts with these bytes."""
    try:
        with open(path, "rb") as file:
            return bool(start := file.read(len(magic) or 1)) and start.startswith(magic)
    except FileNotFoundError:
        return False
