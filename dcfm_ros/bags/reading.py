# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reads rosbag2 recordings: sqlite3 or mcap, one file or split, compressed or not, complete or truncated."""

from __future__ import annotations

import heapq
import os
from collections import Counter
from collections.abc import Collection, Generator, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path, PureWindowsPath
from typing import Any

from dcfm_ros.bags.compression import decompressed
from dcfm_ros.bags.errors import BagError
from dcfm_ros.bags.mcap_file import McapFile
from dcfm_ros.bags.metadata import Metadata, read_metadata
from dcfm_ros.bags.names import (
    METADATA_FILE,
    STORAGES,
    UNFINISHED,
    recording_path,
    storage_stem,
    without_zstd,
)
from dcfm_ros.bags.sqlite_file import SqliteFile
from dcfm_ros.bags.storage import open_storage, storage_files
from dcfm_ros.bags.topic import Key, Topic
from dcfm_ros.bags.types import typestore
from dcfm_ros.pipeline.frames import InputError
from dcfm_ros.stamps import NS_PER_S

_NAMED = 3  # topics named in a note


def open_bag(path: str | Path) -> Bag:
    """Open a recording: a folder of .mcap or .db3 files, or a single such file.

    A recording that its recorder did not close is opened as well: without metadata.yaml the files of the
    folder are used, and a truncated .mcap is read up to the point where it ends. `Bag.notes` says so.

    Raises BagError; and OSError if the system fails (for example, a network share that disappears), which may
    succeed on a retry.
    """
    path = recording_path(Path(path))
    if not (path.is_file() or path.is_dir()):
        raise BagError(
            f"there is no {path}: give a folder with {METADATA_FILE}, or a file {' or '.join(STORAGES)}"
        )
    if path.name.endswith(UNFINISHED):
        raise BagError(
            f"{path} is an unfinished output: run the command that started it again to complete it"
        )
    with ExitStack() as stack:
        if path.is_file():
            storages, metadata = [open_storage(path, stack)], None
            notes: list[str] = []
        else:
            files, metadata, notes = _list_files(path)
            storages = _open_all(files, notes, stack)
        return Bag(path, storages, metadata, notes, stack.pop_all())


class Bag:
    """An open recording; use it in a `with` statement. Not thread-safe.

    topics: one per (name, type, serialization), with the number of messages that the files hold
    start_ns, end_ns: log time of the first message, and one nanosecond after the last
    notes: problems of the recording, one sentence each; reading may add more
    """

    def __init__(
        self,
        path: Path,
        files: list[McapFile | SqliteFile],
        metadata: Metadata | None,
        notes: list[str],
        stack: ExitStack,
    ):
        self.path, self._storages, self._stack = path, files, stack
        self.notes = [*notes, *(file.note for file in files if file.note)]
        counts: Counter = Counter()
        for file in files:
            counts.update(file.counts)
        topics: dict[Key, Topic] = {}
        for topic in (topic for file in files for topic in file.topics):
            topics.setdefault(topic.key, _with_metadata(topic, counts[topic.key], metadata))
        self.topics = tuple(topics.values())
        filled = [file for file in files if file.count]
        self.start_ns = min((file.start_ns for file in filled), default=0)
        self.end_ns = max((file.last_ns + 1 for file in filled), default=0)
        if metadata is not None:
            self._compare(f"{METADATA_FILE} counts", metadata.counts, "its files hold", counts)

    def summary(self) -> dict:
        """Return path, duration and start time for reports."""
        return {
            "path": str(self.path),
            "duration_s": round((self.end_ns - self.start_ns) / NS_PER_S, 3),
            "start_ns": self.start_ns,
        }

    @property
    def files(self) -> tuple[Path, ...]:
        """All files of the recording, in order of name."""
        if self.path.is_file():
            return tuple(
                file for file in (self.path, self.path.with_name(f"{self.path.name}-wal")) if file.is_file()
            )
        return tuple(
            sorted(file for file in self.path.rglob("*") if file.is_file() and not file.name.endswith("-shm"))
        )

    def messages(self, topics: Collection[Topic] = ()) -> Generator[tuple[Topic, int, bytes]]:
        """Yield (topic, log time in ns, CDR bytes) in order of log time, of these topics or of all by
        default.

        At the end the number of messages is compared with what the files declare; `notes` reports a
        difference. Raises the same errors as `open_bag`.
        """
        wanted = {topic.key: topic for topic in topics or self.topics}
        counted: Counter = Counter()
        newest_ns, late = -(2**63), 0
        for key, log_ns, raw in self._merged(set(wanted)):
            counted[key] += 1
            late += log_ns < newest_ns
            newest_ns = max(newest_ns, log_ns)
            yield wanted[key], log_ns, decompressed(raw)
        if late:
            self.note(
                f"{late} messages are out of order, as the times in the file index are wrong: `mcap "
                f"recover` mends that"
            )
        self._compare(
            "its files count", {key: topic.count for key, topic in wanted.items()}, "they hold", counted
        )

    def decode(self, topic: Topic, raw: bytes) -> Any:
        """Return the deserialized message; its arrays are views of `raw`. Raises InputError of kind "message"
        if the bytes are not a valid message."""
        try:
            return typestore().deserialize_cdr(memoryview(raw), topic.msgtype)
        except Exception as error:  # corrupt input can raise anything
            reason = " ".join(str(error).split())[:100] or type(error).__name__
            raise InputError(
                "message",
                f"a message of {len(raw)} bytes on {topic.name} is not a {topic.msgtype} in ROS 2's "
                f"serialization ({reason}): the recording is damaged there, or its recorder used another "
                "encoding",
            ) from error

    def _merged(self, keys: set[Key]) -> Iterator[tuple[Key, int, bytes]]:
        """Merge the files in order of log time. A file is not read before its first message is due: there may
        be hundreds of files."""
        # heap of (log time of the next message, file number, message, further messages)
        streams: list[tuple] = []
        for number, file in enumerate(
            sorted((file for file in self._storages if file.count), key=lambda file: file.start_ns)
        ):
            while streams and streams[0][0] < file.start_ns:
                yield _next(streams)
            stream = file.messages(keys)
            if (message := next(stream, None)) is not None:
                heapq.heappush(streams, (message[1], number, message, stream))
        while streams:
            yield _next(streams)

    def _compare(self, said: str, expected: Mapping[Key, int], found: str, counts: Mapping[Key, int]) -> None:
        names = sorted({name for name, _, _ in expected})
        pairs = [
            (
                name,
                *(
                    sum(by_key.get(key, 0) for key in {*expected, *counts} if key[0] == name)
                    for by_key in (expected, counts)
                ),
            )
            for name in names
        ]
        different = [
            f"{count} messages on {name}, {found} {other}" for name, count, other in pairs if count != other
        ]
        if different:
            more = f"; and {len(different) - _NAMED} more topics" if len(different) > _NAMED else ""
            self.note(f"{said} {'; '.join(different[:_NAMED])}{more}")

    def note(self, text: str) -> None:
        """Add a sentence to `notes`."""
        if text not in self.notes:
            self.notes.append(text)

    def close(self) -> None:
        self._stack.close()

    def __enter__(self) -> Bag:
        return self

    def __exit__(self, *_) -> None:
        self.close()


def _next(streams: list) -> tuple[Key, int, bytes]:
    _, number, message, stream = streams[0]
    if (following := next(stream, None)) is None:
        heapq.heappop(streams)
    else:
        heapq.heapreplace(streams, (following[1], number, following, stream))
    return message


def _with_metadata(topic: Topic, count: int, metadata: Metadata | None) -> Topic:
    """Return the topic with its count, and with the type hash and QoS from metadata.yaml if the file lacks
    them."""
    if metadata is not None:
        topic = replace(
            topic,
            digest=topic.digest or metadata.digests.get(topic.key, ""),
            qos=topic.qos or metadata.qos.get(topic.key, ()),
        )
    return replace(topic, count=count)


def _list_files(folder: Path) -> tuple[list[Path], Metadata | None, list[str]]:
    """Return the files of a recording's folder, the content of metadata.yaml (or None), and notes on what is
    wrong."""
    there = storage_files(folder)
    if not (folder / METADATA_FILE).is_file():
        if not there:
            raise BagError(
                f"{folder} holds no {METADATA_FILE} and no file {' or '.join(STORAGES)}: it is not a "
                "recording"
            )
        notes = [f"{METADATA_FILE} is missing: the files of the folder are used"]
        return _without_duplicates(there, notes), None, notes
    try:
        metadata = read_metadata(folder)
    except BagError as error:
        if not there:
            raise BagError(
                f"{folder}: {error}, and there is no file {' or '.join(STORAGES)} beside it: it is not a "
                f"recording"
            ) from error
        notes = [f"{error}: the files of the folder are used"]
        return _without_duplicates(there, notes), None, notes
    named = [_locate(folder, name, there) for name in metadata.files]
    missing = [name for name, file in zip(metadata.files, named) if file is None]
    files = list(dict.fromkeys(file for file in named if file is not None))
    if not files and there:
        what = f"{', '.join(missing)}, which is not there" if missing else "no files"
        return there, metadata, [f"{METADATA_FILE} names {what}: the files of the folder are used"]
    if not files:
        kind = f" of storage {metadata.storage!r}" if metadata.storage not in ("", "mcap", "sqlite3") else ""
        raise BagError(
            f"{folder} cannot be read: {METADATA_FILE} names {', '.join(missing) or 'no files'}{kind}, and "
            f"there is no file {' or '.join(STORAGES)}; copy the files beside it"
        )
    notes = [f"{name}, listed in {METADATA_FILE}, is missing" for name in missing]
    plain = {without_zstd(file.name) for file in files}
    notes += [
        f"{file.name} is not listed in {METADATA_FILE}: ignored"
        for file in there
        if without_zstd(file.name) not in plain
    ]
    return files, metadata, notes


def _locate(folder: Path, path: str, there: list[Path]) -> Path | None:
    """Return the file at this path or of this name in the folder, also if it was compressed or decompressed
    by hand later; None if there is none."""
    name = PureWindowsPath(path).name  # accepts both kinds of slashes
    twin = next((file for file in there if without_zstd(file.name) == without_zstd(name)), None)
    elsewhere = folder / path if storage_stem(name) else folder / name
    return twin or next((file for file in (elsewhere, folder / name) if os.path.isfile(file)), None)


def _without_duplicates(files: list[Path], notes: list[str]) -> list[Path]:
    """Return the files without those that exist in both storage formats, for example after a conversion."""
    kept: dict[str, Path] = {}
    for file in files:
        other = kept.setdefault(storage_stem(file.name), file)
        if other is not file:
            notes.append(
                f"{file.name} is ignored: {other.name} has the same name, and no {METADATA_FILE} says which "
                "is right"
            )
    return list(kept.values())


def _open_all(files: list[Path], notes: list[str], stack: ExitStack) -> list[McapFile | SqliteFile]:
    """Open all files that can be opened. One that cannot is noted; raises its BagError if none can."""
    opened, refused = [], []
    for file in files:
        try:
            opened.append(open_storage(file, stack))
        except BagError as error:
            refused.append(error)
    if not opened:
        raise refused[0]
    notes += [f"ignored: {error}" for error in refused]
    return opened
