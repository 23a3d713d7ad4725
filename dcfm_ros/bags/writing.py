# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writing a rosbag2 recording in parts: files that are whole each, so that what was closed outlives whatever
comes after."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import yaml
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, WriterError

from dcfm_ros.bags.errors import BagError
from dcfm_ros.bags.metadata import INFORMATION, load_metadata
from dcfm_ros.bags.names import METADATA_FILE
from dcfm_ros.bags.topic import Topic
from dcfm_ros.bags.writer import BagWriter

COMPRESSIONS = ("zstd", "none")
_VERSION = 9
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_LOG_TIMES = {StoragePlugin.MCAP: (0, 2**64), StoragePlugin.SQLITE3: (-(2**63), 2**63)}
# zstd: of chunks, which all readers read; of sqlite3 `ros2 bag play` reads only whole compressed files
_MODES = {("mcap", "zstd"): CompressionMode.STORAGE, ("sqlite3", "zstd"): CompressionMode.FILE}


class WriteError(BagError):
    """The output cannot be written; parts that were closed before are good."""


class Parts:
    """A recording in the making in a folder of its own: `<name>_<number>.mcap`, and metadata.yaml in the end.

    A part is begun by the first message written after the one before was closed. `metadata` is that of the
    closed ones, what metadata.yaml will hold; None before the first. Files in the folder that it does not
    name are nobody's.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        topics: Sequence[Topic],
        storage: str,
        compression: str,
        metadata: dict | None = None,
    ):
        self._folder, self._name, self._topics = folder, name, topics
        self._storage, self._mode = (
            StoragePlugin[storage.upper()],
            _MODES.get((storage, compression), CompressionMode.NONE),
        )
        self.metadata = metadata
        self._writer: BagWriter | None = None
        self._connections: dict = {}
        self._whole = True  # does the open part end with a whole write?

    @property
    def files(self) -> list[Path]:
        """Of the closed parts."""
        return [self._folder / name for name in self.metadata["relative_file_paths"]] if self.metadata else []

    @property
    def is_whole(self) -> bool:
        """False after a `unit` was broken off: its part can only be given up."""
        return self._whole

    @contextmanager
    def unit(self) -> Iterator[None]:
        """Messages written in here belong together: a part has all of them or, where an error comes between,
        is given up."""
        self._whole = False
        yield
        self._whole = True

    def write(self, topic: Topic, log_ns: int, raw: bytes | memoryview) -> None:
        if not _LOG_TIMES[self._storage][0] <= log_ns < _LOG_TIMES[self._storage][1]:
            other = next(storage for storage in StoragePlugin if storage is not self._storage).name.lower()
            raise BagError(
                f"a message on {topic.name} has log time {log_ns} ns, which {self._storage.name.lower()} "
                f"cannot hold: give "
                f"--storage {other}"
            )
        with self._told():
            if self._writer is None:
                self._begin()
            self._writer.write(self._connections[topic.key], log_ns, raw)

    def close_part(self) -> None:
        """End the open part, if there is one; it is on the disk then."""
        if self._writer is None:
            return
        with self.unit(), self._told():
            folder = self._writer.path
            self._writer.close()
            self._writer = None
            part = load_metadata(folder / METADATA_FILE)
            file = part["relative_file_paths"][0]
            flush(folder / file)
            os.replace(folder / file, self._folder / file)
            flush(self._folder)
            shutil.rmtree(folder)
            self.metadata = part if self.metadata is None else merge_metadata(self.metadata, part)

    def give_up_part(self) -> None:
        """Remove the open part, if there is one."""
        writer, self._writer = self._writer, None
        if writer is not None:
            with suppress(OSError, sqlite3.Error):  # what made us give up is what is reported
                writer.abort()
            shutil.rmtree(writer.path, ignore_errors=True)
        self._whole = True

    def finish(self) -> None:
        """Write metadata.yaml. There is at least one part."""
        if self.metadata is None:
            raise BagError(f"{self._folder}: nothing was written, so there is no recording to finish")
        with self._told():
            write_text(
                self._folder / METADATA_FILE, yaml.safe_dump({INFORMATION: self.metadata}, sort_keys=False)
            )

    def _begin(self) -> None:
        number = len(self.metadata["relative_file_paths"]) if self.metadata else 0
        folder = self._folder / f"{self._name}_{number}"
        writer = BagWriter(folder, version=_VERSION, storage_plugin=self._storage)
        writer.set_compression(self._mode, CompressionFormat.ZSTD)
        self._writer = writer
        writer.open()
        self._connections = {
            topic.key: writer.add_connection(
                topic.name,
                topic.msgtype,
                msgdef=topic.definition,
                rihs01=topic.digest,
                offered_qos_profiles=topic.qos,
            )
            for topic in self._topics
        }

    @contextmanager
    def _told(self) -> Iterator[None]:
        with told(self._folder):
            try:
                yield
            except sqlite3.Error as error:
                raise OSError(errno.ENOSPC if "full" in str(error) else errno.EIO, str(error)) from error


@contextmanager
def told(folder: Path) -> Iterator[None]:
    """Errors of writing to this folder as a WriteError that names its disk."""
    try:
        yield
    except (OSError, WriterError) as error:
        disk, reason = f"on the disk at {mount_point(folder)}", getattr(error, "strerror", None) or str(error)
        if getattr(error, "errno", None) in _FULL:
            raise WriteError(f"no space left for {folder}, {disk} ({reason}): make room there") from error
        raise WriteError(f"cannot write to {folder}, {disk} ({reason}): mend that") from error


def merge_metadata(whole: dict, part: dict) -> dict:
    """Of a recording and one more file of it, of the same topics; both as in metadata.yaml below its only
    key."""
    start_ns = min(_start_ns(whole), _start_ns(part))
    end_ns = max(_start_ns(one) + one["duration"]["nanoseconds"] for one in (whole, part))
    topics = [
        {**mine, "message_count": mine["message_count"] + theirs["message_count"]}
        for mine, theirs in zip(
            whole["topics_with_message_count"], part["topics_with_message_count"], strict=True
        )
    ]
    return {
        **whole,
        "relative_file_paths": [*whole["relative_file_paths"], *part["relative_file_paths"]],
        "duration": {"nanoseconds": end_ns - start_ns},
        "starting_time": {"nanoseconds_since_epoch": start_ns},
        "message_count": whole["message_count"] + part["message_count"],
        "topics_with_message_count": topics,
        "files": [*whole["files"], *part["files"]],
    }


def message_counts(metadata: dict) -> dict[str, int]:
    """By topic."""
    return {
        topic["topic_metadata"]["name"]: topic["message_count"]
        for topic in metadata["topics_with_message_count"]
    }


def mount_point(path: Path) -> Path:
    """Where the disk of a path is mounted."""
    path = path.resolve()
    return next(place for place in (path, *path.parents) if os.path.ismount(place))


def write_text(path: Path, text: str) -> None:
    """Replace a file in one step: a crash leaves the old text or the new one, on the disk."""
    aside = path.with_name(f"{path.name}.part")
    aside.write_text(text)
    flush(aside)
    os.replace(aside, path)
    flush(path.parent)


def flush(path: Path) -> None:
    """Wait until a file, or what a folder lists, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _start_ns(metadata: dict) -> int:
    return metadata["starting_time"]["nanoseconds_since_epoch"]
