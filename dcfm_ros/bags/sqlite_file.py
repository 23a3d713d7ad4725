# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One .db3 of a recording."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import apsw

from dcfm_ros.bags.errors import BagError, naming
from dcfm_ros.bags.topic import Key, Topic, full_type, gathered, known_digest, read_qos, read_serialization

MAGIC = b"SQLite format 3\0"
_USABLE = "typeof(timestamp) = 'integer' AND typeof(data) = 'blob'"  # SQLite keeps any kind in any column
_JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")  # of a journal that still has to be rolled back


class SqliteFile:
    """Its messages in order of log time; attributes as of `McapFile`. For one thread at a time."""

    def __init__(self, path: Path, named: Path):
        self.path = named
        path = path.resolve()  # beside the file itself, and not a link to it, lies what belongs to it
        if _begins_with(f"{path}-journal", _JOURNAL_MAGIC):
            raise BagError(
                f"{named} is in the middle of being written, as {path.name}-journal tells: wait for its "
                f"recorder's end, or where "
                f"that has died, roll it back by `sqlite3 {named} 'PRAGMA user_version'`"
            )
        # What a recorder that died has left in a write-ahead log belongs to the recording; SQLite reads that
        # by a small index of its own, which it makes beside it. Nothing else is written or locked.
        self._has_wal = _begins_with(f"{path}-wal", b"")
        uri = f"file:{quote(os.fsencode(path))}?" + ("mode=ro" if self._has_wal else "immutable=1")
        with self._told("cannot be opened"):
            self._database = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
            try:
                self._read_topics()
            except BaseException:
                self.close()
                raise

    def messages(self, keys: set[Key]) -> Iterator[tuple[Key, int, bytes]]:
        """(key of the topic, log time ns, bytes) of these topics. Raises BagError where it is damaged, and
        OSError."""
        numbers = [number for number, key in self._keys.items() if key in keys]
        marks = ", ".join("?" * len(numbers))
        with self._told("is damaged"):
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
            raise BagError(f"{self.path} is a database without messages of ROS: give a recording of ROS 2")
        there = {
            row[1] for row in self._database.execute("PRAGMA table_info(topics)")
        }  # older versions have fewer columns
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
        self.topics, self._keys, self.counts = gathered(
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
        left_out = self._database.execute("SELECT count(*) FROM messages").fetchone()[0] - self.count
        self.note = (
            f"{self.path.name} holds {left_out} messages without a topic, a time or bytes: left out"
            if left_out
            else ""
        )

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        with naming(self.path):
            try:
                yield
            except apsw.CantOpenError as error:
                if not self._has_wal:
                    raise OSError(errno.EIO, str(error)) from error
                raise BagError(
                    f"{self.path} has its last messages in {self.path.name}-wal, which is read only where "
                    f"the folder can be "
                    "written: copy both to another folder"
                ) from error
            except apsw.BusyError as error:
                raise BagError(
                    f"{self.path} is being written to: wait until its recorder has ended"
                ) from error
            except (apsw.IOError, OSError, BagError):
                raise
            except Exception as error:  # whatever rubbish makes of the reader
                raise BagError(
                    f"{self.path} {what}: {error}; repair it with `sqlite3 {self.path} .recover`"
                ) from error


def _begins_with(path: str, magic: bytes) -> bool:
    """Is there a file that begins so, and is not empty?"""
    try:
        with open(path, "rb") as file:
            return bool(start := file.read(len(magic) or 1)) and start.startswith(magic)
    except FileNotFoundError:
        return False
