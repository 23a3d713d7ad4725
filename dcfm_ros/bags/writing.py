# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes a rosbag2 recording in parts: each file is complete in itself, so that closed parts survive any
later failure."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import yaml
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, WriterError

from dcfm_ros.bags.errors import BagError
from dcfm_ros.bags.metadata import INFORMATION, load_metadata
from dcfm_ros.bags.names import METADATA_FILE
from dcfm_ros.bags.topic import Topic
from dcfm_ros.bags.writer import BagWriter
from dcfm_ros.files import atomic_write, flush

_VERSION: Final = 9
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_LOG_TIMES = {StoragePlugin.MCAP: (0, 2**64), StoragePlugin.SQLITE3: (-(2**63), 2**63)}
# zstd: of chunks, which all readers read; of sqlite3 `ros2 bag play` reads only whole compressed files
_MODES = {("mcap", "zstd"): CompressionMode.STORAGE, ("sqlite3", "zstd"): CompressionMode.FILE}


class WriteError(BagError):
    """The output cannot be written; parts closed earlier are intact."""


class Parts:
    """A recording being written to a folder: `<name>_<number>.mcap`, and metadata.yaml at the end.

    A part starts with the first message after the previous part was closed. `metadata` describes the closed
    parts, as metadata.yaml will; None before the first. Files in the folder that it does not list belong to
    nobody.
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
        self._whole = True  # whether the open part ends with a complete unit

    @property
    def files(self) -> list[Path]:
        """The files of the closed parts."""
        return [self._folder / name for name in self.metadata["relative_file_paths"]] if self.metadata else []

    @property
    def is_complete(self) -> bool:
        """False after a `unit` was interrupted: its part can only be discarded."""
        return self._whole

    @contextmanager
    def unit(self) -> Iterator[None]:
        """Messages written in the block belong together: a part contains all of them, or is discarded if an
        error interrupts the block."""
        self._whole = False
        yield
        self._whole = True

    def write(self, topic: Topic, log_ns: int, raw: bytes | memoryview) -> None:
        if not _LOG_TIMES[self._storage][0] <= log_ns < _LOG_TIMES[self._storage][1]:
            other = next(storage for storage in StoragePlugin if storage is not self._storage).name.lower()
            raise BagError(
                f"a message on {topic.name} has log time {log_ns} ns, which {self._storage.name.lower()} "
                f"cannot hold: give --storage {other}"
            )
        with self._write_errors():
            writer = self._writer or self._begin()
            writer.write(self._connections[topic.key], log_ns, raw)

    def close_part(self) -> None:
        """Close the open part, if there is one, and sync it to disk."""
        if self._writer is None:
            return
        with self.unit(), self._write_errors():
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

    def discard_part(self) -> None:
        """Remove the open part, if there is one."""
        writer, self._writer = self._writer, None
        if writer is not None:
            with suppress(OSError, sqlite3.Error):  # the original error is reported
                writer.abort()
            shutil.rmtree(writer.path, ignore_errors=True)
        self._whole = True

    def finish(self) -> None:
        """Write metadata.yaml. There must be at least one part."""
        if self.metadata is None:
            raise BagError(f"{self._folder}: nothing was written, so there is no recording to finish")
        with self._write_errors():
            atomic_write(
                self._folder / METADATA_FILE, yaml.safe_dump({INFORMATION: self.metadata}, sort_keys=False)
            )

    def _begin(self) -> BagWriter:
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
        return writer

    @contextmanager
    def _write_errors(self) -> Iterator[None]:
        with write_errors_for(self._folder):
            try:
                yield
            except sqlite3.Error as error:
                raise OSError(errno.ENOSPC if "full" in str(error) else errno.EIO, str(error)) from error


@contextmanager
def write_errors_for(folder: Path) -> Iterator[None]:
    """Raise errors of writing to this folder as a WriteError that names its disk."""
    try:
        yield
    except (OSError, WriterError) as error:
        disk, reason = f"on the disk at {mount_point(folder)}", getattr(error, "strerror", None) or str(error)
        if getattr(error, "errno", None) in _FULL:
            raise WriteError(f"no space left for {folder}, {disk} ({reason}): free space there") from error
        raise WriteError(f"cannot write to {folder}, {disk} ({reason}): fix that") from error


def merge_metadata(whole: dict, part: dict) -> dict:
    """Merge the metadata of a recording and of one more file of the same topics; both as below the only key
    of metadata.yaml."""
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


def message_counts(metadata: dict | None) -> dict[str, int]:
    """Return the number of messages by topic."""
    assert metadata is not None, "there is a part"
    return {
        topic["topic_metadata"]["name"]: topic["message_count"]
        for topic in metadata["topics_with_message_count"]
    }


def mount_point(path: Path) -> Path:
    """Return where the file system of a path is mounted."""
    path = path.resolve()
    return next(place for place in (path, *path.parents) if os.path.ismount(place))


def _start_ns(metadata: dict) -> int:
    return metadata["starting_time"]["nanoseconds_since_epoch"]
