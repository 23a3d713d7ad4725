# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reading a rosbag2 recording: sqlite3 or mcap, in one file or split, compressed or not, whole or cut off."""

from __future__ import annotations

import heapq
import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path, PureWindowsPath
from typing import Any

from dcfm_ros.bags.compression import decompressed
from dcfm_ros.bags.errors import BagError
from dcfm_ros.bags.mcap_file import McapFile
from dcfm_ros.bags.metadata import Metadata, read_metadata
from dcfm_ros.bags.names import METADATA_FILE, STORAGES, UNFINISHED, stands_for, storage_stem, without_zstd
from dcfm_ros.bags.sqlite_file import SqliteFile
from dcfm_ros.bags.storage import open_storage, storage_files
from dcfm_ros.bags.topic import Key, Topic
from dcfm_ros.bags.types import typestore
from dcfm_ros.pipeline.frames import InputError

_NAMED = 3  # topics in a note


def open_bag(path: str | Path) -> Bag:
    """Open a folder of files .mcap or .db3, or one of these. Raises BagError, and OSError where the system
    fails, as with a share that goes away: that may go well the next time.

    What a dead recorder left is opened as well: a folder without metadata.yaml by its files, and a cut .mcap
    as far as it is whole. `Bag.notes` then says so.
    """
    path = stands_for(Path(path))
    if not (path.is_file() or path.is_dir()):
        raise BagError(
            f"there is no {path}: give a folder with {METADATA_FILE}, or a file {' or '.join(STORAGES)}"
        )
    if path.name.endswith(UNFINISHED):
        raise BagError(
            f"{path} is an unfinished output: finish it by running the command again that began it"
        )
    with ExitStack() as stack:
        if path.is_file():
            storages, metadata, notes = [open_storage(path, stack)], None, []
        else:
            files, metadata, notes = _files_of(path)
            storages = _open_all(files, notes, stack)
        return Bag(path, storages, metadata, notes, stack.pop_all())


class Bag:
    """An open recording; use it in a `with` statement. For one thread at a time.

    topics: by (name, type, serialization); their counts are of what the files hold
    start_ns, end_ns: log times of the first message and just after the last
    notes: what is wrong with the recording, in sentences; more may come while it is read
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
            topics.setdefault(topic.key, _completed(topic, counts[topic.key], metadata))
        self.topics = tuple(topics.values())
        filled = [file for file in files if file.count]
        self.start_ns = min((file.start_ns for file in filled), default=0)
        self.end_ns = max((file.last_ns + 1 for file in filled), default=0)
        if metadata is not None:
            self._compare(f"{METADATA_FILE} counts", metadata.counts, "its files hold", counts)

    def facts(self) -> dict:
        """For reports."""
        return {
            "path": str(self.path),
            "duration_s": round((self.end_ns - self.start_ns) / 1e9, 3),
            "start_ns": self.start_ns,
        }

    @property
    def files(self) -> tuple[Path, ...]:
        """All files of the recording, in order of their names."""
        if self.path.is_file():
            return tuple(
                file for file in (self.path, self.path.with_name(f"{self.path.name}-wal")) if file.is_file()
            )
        return tuple(
            sorted(file for file in self.path.rglob("*") if file.is_file() and not file.name.endswith("-shm"))
        )

    def messages(self, topics: Collection[Topic] = ()) -> Iterator[tuple[Topic, int, bytes]]:
        """(topic, log time ns, CDR bytes) of these topics, by default of all, in order of log time. Raises as
        `open_bag`.

        What has come in the end is compared with what the files say they hold; `notes` tells of a difference.
        """
        wanted = {topic.key: topic for topic in topics or self.topics}
        came: Counter = Counter()
        newest_ns, late = -(2**63), 0
        for key, log_ns, raw in self._merged(set(wanted)):
            came[key] += 1
            late += log_ns < newest_ns
            newest_ns = max(newest_ns, log_ns)
            yield wanted[key], log_ns, decompressed(raw)
        if late:
            self.note(
                f"{late} messages came after later ones, as the times in the files' index do not hold: `mcap "
                f"recover` mends that"
            )
        self._compare(
            "its files count", {key: topic.count for key, topic in wanted.items()}, "they hold", came
        )

    def decode(self, topic: Topic, raw: bytes) -> Any:
        """The message, its arrays views of `raw`; an InputError of kind "message" where the bytes are
        none."""
        try:
            return typestore().deserialize_cdr(memoryview(raw), topic.msgtype)
        except Exception as error:  # whatever rubbish makes of the decoder
            reason = " ".join(str(error).split())[:100] or type(error).__name__
            raise InputError(
                "message",
                f"a message of {len(raw)} bytes on {topic.name} is no {topic.msgtype} as ROS 2 serializes it "
                f"({reason}): the recording is damaged there, or its recorder wrote it in another way",
            ) from error

    def _merged(self, keys: set[Key]) -> Iterator[tuple[Key, int, bytes]]:
        """Of all files in order of log time; a file is not read before its time comes, as there may be
        hundreds."""
        streams = []  # a heap: log time of the next message, number of the file, message, what follows
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
            more = f"; and so on for {len(different) - _NAMED} more" if len(different) > _NAMED else ""
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


def _completed(topic: Topic, count: int, metadata: Metadata | None) -> Topic:
    """With its count, and what only metadata.yaml says."""
    if metadata is not None:
        topic = replace(
            topic,
            digest=topic.digest or metadata.digests.get(topic.key, ""),
            qos=topic.qos or metadata.qos.get(topic.key, ()),
        )
    return replace(topic, count=count)


def _files_of(folder: Path) -> tuple[list[Path], Metadata | None, list[str]]:
    """The files of a recording's folder, what metadata.yaml says where there is one, and what is wrong with
    it."""
    there = storage_files(folder)
    if not (folder / METADATA_FILE).is_file():
        if not there:
            raise BagError(
                f"{folder} holds no {METADATA_FILE} and no file {' or '.join(STORAGES)}: it is no recording"
            )
        notes = [f"{METADATA_FILE} is missing: read by its files"]
        return _once(there, notes), None, notes
    try:
        metadata = read_metadata(folder)
    except BagError as error:
        if not there:
            raise BagError(
                f"{folder}: {error}, and there is no file {' or '.join(STORAGES)} beside it: it is no "
                f"recording"
            ) from error
        notes = [f"{error}: read by its files"]
        return _once(there, notes), None, notes
    named = [_found(folder, name, there) for name in metadata.files]
    missing = [name for name, file in zip(metadata.files, named) if file is None]
    files = list(dict.fromkeys(file for file in named if file is not None))
    if not files and there:
        what = f"{', '.join(missing)}, which is not there" if missing else "no files"
        return there, metadata, [f"{METADATA_FILE} names {what}: read by its files"]
    if not files:
        kind = f" of storage {metadata.storage!r}" if metadata.storage not in ("", "mcap", "sqlite3") else ""
        raise BagError(
            f"{folder} cannot be read: {METADATA_FILE} names {', '.join(missing) or 'no files'}{kind}, and "
            f"there is no file "
            f"{' or '.join(STORAGES)}; copy the files beside it"
        )
    notes = [f"{name}, which {METADATA_FILE} names, is missing" for name in missing]
    plain = {without_zstd(file.name) for file in files}
    notes += [
        f"{file.name} is not named by {METADATA_FILE}: left out"
        for file in there
        if without_zstd(file.name) not in plain
    ]
    return files, metadata, notes


def _found(folder: Path, path: str, there: list[Path]) -> Path | None:
    """The file of this path, or of its name in the folder, also compressed or decompressed by hand since;
    None where none is there."""
    name = PureWindowsPath(path).name  # takes both kinds of slashes
    twin = next((file for file in there if without_zstd(file.name) == without_zstd(name)), None)
    elsewhere = folder / path if storage_stem(name) else folder / name
    return twin or next((file for file in (elsewhere, folder / name) if os.path.isfile(file)), None)


def _once(files: list[Path], notes: list[str]) -> list[Path]:
    """Without what lies there in both storages, as after a conversion."""
    kept: dict[str, Path] = {}
    for file in files:
        other = kept.setdefault(storage_stem(file.name), file)
        if other is not file:
            notes.append(
                f"{file.name} is left out: {other.name} has its name, and no {METADATA_FILE} says which it is"
            )
    return list(kept.values())


def _open_all(files: list[Path], notes: list[str], stack: ExitStack) -> list[McapFile | SqliteFile]:
    """What can be opened; a file that cannot is noted, unless it is the only one."""
    opened, refused = [], []
    for file in files:
        try:
            opened.append(open_storage(file, stack))
        except BagError as error:
            refused.append(error)
    if not opened:
        raise refused[0]
    notes += [f"left out: {error}" for error in refused]
    return opened
