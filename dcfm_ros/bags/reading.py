# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reading a rosbag2 recording: sqlite3 or mcap, compressed or not, whole or cut off."""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import apsw
from rosbags.interfaces import ConnectionExtRosbag2, Qos
from rosbags.rosbag2 import Reader
from rosbags.rosbag2.metadata import parse_qos

from dcfm_ros.bags.compression import MOST_BYTES, decompressed
from dcfm_ros.bags.errors import BagError
from dcfm_ros.bags.salvage import salvage_messages, salvage_topics
from dcfm_ros.bags.types import typestore
from dcfm_ros.pipeline.frames import InputError
from dcfm_ros.sources.read import natural_key

STORAGES = (".mcap", ".db3")
UNFINISHED = ".partial"      # ending of the folder of an output that is not finished
# How rosbags' texts about a cut .mcap begin.
_CUT_OFF = ("File end magic is invalid", "Truncated record", "Unexpected record", "Invalid MCAP")
# What the system says to numbers and names that damaged content gives it.
_OF_CONTENT = (errno.EINVAL, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG)


@dataclass(frozen=True)
class Topic:
    """A topic of a recording; its messages are all of one type."""

    name: str
    msgtype: str                 # as in sensor_msgs/msg/Image
    definition: str              # of the type, with those it is made of; "" where the recording does not say
    digest: str                  # type hash RIHS01; "" where the recording does not say
    qos: tuple[Qos, ...] = ()    # offered by the publishers
    count: int = 0

    @property
    def key(self) -> tuple[str, str]:
        return self.name, self.msgtype


def open_bag(path: str | Path) -> Bag:
    """Open a folder with metadata.yaml, or a file .mcap or .db3. Raises BagError, and OSError where the system fails, as
    with a share that goes away: that may go well the next time.

    What a dead recorder left is opened as well: a folder without metadata.yaml by its files, and a cut .mcap as far as it
    is whole. `Bag.salvaged` then says so.
    """
    path = Path(path)
    if not path.exists():
        raise BagError(f"there is no {path}: give a folder with metadata.yaml, or a file .mcap or .db3")
    if path.name.endswith(UNFINISHED):
        raise BagError(f"{path} is an unfinished output: finish it by running the command again that began it")
    if path.suffix == ".bag":
        raise BagError(f"{path} is a recording of ROS 1: convert it with `rosbags-convert --src {path} --dst {path.stem}`")
    if path.is_file() and path.suffix not in STORAGES:
        raise BagError(f"{path} is no recording: give a folder with metadata.yaml, or a file {' or '.join(STORAGES)}")
    if path.is_dir() and not (path / "metadata.yaml").is_file():
        files = storage_files(path)
        if not files:
            raise BagError(f"{path} holds no metadata.yaml and no file {' or '.join(STORAGES)}: it is no recording")
        return _by_files(path, files, "metadata.yaml is missing")
    try:
        return Bag(path, [_Indexed(path)])
    except _CutOff as error:
        if path.is_file():
            return Bag(path, [_Salvaged(path)])
        if not (files := storage_files(path)):
            raise BagError(f"{error}, and its files are compressed: decompress them with `zstd -d`, and remove "
                           "metadata.yaml") from error
        return _by_files(path, files, "metadata.yaml does not hold for what is cut off")


def _by_files(path: Path, files: list[Path], why: str) -> Bag:
    compressed = len([file for file in path.iterdir() if file.suffix == ".zstd"])
    left_out = f", but for {compressed} that are compressed (`zstd -d` makes them readable)" if compressed else ""
    return Bag(path, [_open_file(file) for file in files], f"{why}: read by its files{left_out}")


def storage_files(folder: Path) -> list[Path]:
    """The files of a recording's folder in their order."""
    return sorted((file for file in folder.iterdir() if file.suffix in STORAGES), key=lambda file: natural_key(file.name))


class Bag:
    """An open recording; use it in a `with` statement. For one thread at a time.

    topics: by (name, type)
    start_ns, end_ns: log times of the first message and just after the last
    salvaged: what is wrong with a recording that was not ended in order; "" where it was
    """

    def __init__(self, path: Path, pieces: list[_Indexed | _Salvaged], salvaged: str = ""):
        self.path, self._pieces = path, pieces
        topics: dict[tuple[str, str], Topic] = {}
        for topic in (topic for piece in pieces for topic in piece.topics):
            known = topics.get(topic.key)
            topics[topic.key] = topic if known is None else replace(known, count=known.count + topic.count)
        self.topics = tuple(topics.values())
        filled = [piece for piece in pieces if piece.count]
        self.start_ns = min((piece.start_ns for piece in filled), default=0)
        self.end_ns = max((piece.end_ns for piece in filled), default=0)
        self.salvaged = "; ".join(text for text in (salvaged, *(piece.salvaged for piece in pieces)) if text)

    def facts(self) -> dict:
        """For reports."""
        return {"path": str(self.path), "duration_s": round((self.end_ns - self.start_ns) / 1e9, 3), "start_ns": self.start_ns,
                "salvaged": self.salvaged}

    @property
    def files(self) -> tuple[Path, ...]:
        """All files of the recording, in order of their names."""
        return tuple(sorted(file for file in self.path.rglob("*") if file.is_file())) if self.path.is_dir() else (self.path,)

    def messages(self, topics: Collection[Topic] = ()) -> Iterator[tuple[Topic, int, bytes]]:
        """(topic, log time ns, CDR bytes) of these topics, by default of all, in order of log time. Raises as `open_bag`."""
        for piece in self._pieces:
            for topic, log_ns, raw in piece.messages({topic.key for topic in topics or self.topics}):
                yield topic, log_ns, decompressed(raw)

    def decode(self, topic: Topic, raw: bytes) -> Any:
        """The message, its arrays views of `raw`; an InputError of kind "message" where the bytes are none."""
        try:
            return typestore().deserialize_cdr(memoryview(raw), topic.msgtype)
        except Exception as error:   # whatever rubbish makes of the decoder
            raise InputError("message", f"a message of {len(raw)} bytes on {topic.name} is no {topic.msgtype} "
                                        f"({type(error).__name__}): the recording is damaged there") from error

    def close(self) -> None:
        for piece in self._pieces:
            piece.close()

    def __enter__(self) -> Bag:
        return self

    def __exit__(self, *_) -> None:
        self.close()


class _CutOff(BagError):
    """An mcap file that has no end."""


def _check_system(path: Path, error: BaseException | None) -> None:
    """Raise an OSError that names the recording where the system is behind this error; its content may be whole."""
    while error is not None:
        if isinstance(error, apsw.IOError):
            raise OSError(errno.EIO, f"cannot read {path}: {error}") from error
        if isinstance(error, OSError) and error.errno and error.errno not in _OF_CONTENT:   # rosbags' own have no number
            raise OSError(error.errno, f"cannot read {path}: {os.strerror(error.errno)}") from error
        error = error.__context__ if error.__suppress_context__ else None   # raised `from` another, or `from None`


def _open_file(file: Path) -> _Indexed | _Salvaged:
    try:
        return _Indexed(file)
    except _CutOff:
        return _Salvaged(file)


class _Indexed:
    """What rosbags reads."""

    salvaged = ""

    def __init__(self, path: Path):
        self._path, self._stack = path, ExitStack()
        try:
            self._reader = self._stack.enter_context(Reader(path))
        except Exception as error:   # whatever rubbish makes of the reader, of apsw and of zstd
            _check_system(path, error)
            text = str(error) or type(error).__name__
            if text.startswith(_CUT_OFF):
                raise _CutOff(f"{path} is cut off") from error
            raise BagError(f"{path} cannot be opened: {text.rstrip('.')}; is it a whole recording of ROS 2? "
                           f"`ros2 bag info {path}` should show it") from error
        self._check_chunks()
        self.topics, self._connections = [], {}
        for connection in self._reader.connections:
            topic = Topic(connection.topic, connection.msgtype, connection.msgdef.data, connection.digest,
                          tuple(connection.ext.offered_qos_profiles) if isinstance(connection.ext, ConnectionExtRosbag2) else (),
                          connection.msgcount)
            self.topics.append(topic)
            self._connections.setdefault(topic.key, []).append(connection)
        self.count = self._reader.message_count
        self.start_ns, self.end_ns = self._reader.start_time, self._reader.end_time

    def messages(self, keys: set[tuple[str, str]]) -> Iterator[tuple[Topic, int, bytes]]:
        topics = {topic.key: topic for topic in self.topics}
        connections = [one for key in keys for one in self._connections.get(key, ())]
        if not connections:
            return
        try:
            for connection, log_ns, raw in self._reader.messages(connections):
                yield topics[connection.topic, connection.msgtype], log_ns, raw
        except Exception as error:   # as above
            _check_system(self._path, error)
            text = str(error) or type(error).__name__
            raise BagError(f"{self._path} is damaged: {text.rstrip('.')}; repair it with `mcap recover` or "
                           "`sqlite3 … .recover`") from error

    def _check_chunks(self) -> None:
        """rosbags looks at a chunk's size after it has decompressed it."""
        storages = getattr(self._reader.storage, "storages", [self._reader.storage])
        largest = max((chunk.uncompressed_size for one in storages for chunk in getattr(one, "chunks", ())), default=0)
        if largest > MOST_BYTES:
            self.close()
            raise BagError(f"{self._path} is damaged: a chunk of {largest} bytes, and none may have more than {MOST_BYTES}; "
                           "repair it with `mcap recover`")

    def close(self) -> None:
        self._stack.close()


class _Salvaged:
    """The whole part of a cut .mcap."""

    def __init__(self, path: Path):
        self._path = path
        try:
            topics, self.start_ns, last_ns = salvage_topics(path)
        except OSError as error:
            _check_system(path, error)
            raise
        self.end_ns = last_ns + 1
        self.topics = [Topic(topic.name, topic.msgtype, topic.definition, topic.digest, tuple(parse_qos(topic.qos or [])),
                             topic.count) for topic in topics]
        self.count = sum(topic.count for topic in self.topics)
        self.salvaged = f"{path.name} is cut off: {self.count} messages before the end of its whole part"

    def messages(self, keys: set[tuple[str, str]]) -> Iterator[tuple[Topic, int, bytes]]:
        topics = {topic.name: topic for topic in self.topics if topic.key in keys}
        try:
            for name, log_ns, raw in salvage_messages(self._path):
                if name in topics:
                    yield topics[name], log_ns, raw
        except OSError as error:
            _check_system(self._path, error)
            raise

    def close(self) -> None:
        pass
