"""Reading a rosbag2 recording: sqlite3 or mcap, compressed or not, whole or cut off."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rosbags.interfaces import ConnectionExtRosbag2, Qos
from rosbags.rosbag2 import Reader
from rosbags.rosbag2.metadata import parse_qos

from dcfm_ros.bags.errors import BagError
from dcfm_ros.bags.salvage import salvage_messages, salvage_topics
from dcfm_ros.bags.types import typestore
from dcfm_ros.pipeline.frames import InputError
from dcfm_ros.sources.read import natural_key

STORAGES = (".mcap", ".db3")
UNFINISHED = ".partial"      # ending of the folder of an output that is not finished
_CUT_OFF = ("end magic is invalid", "Truncated record", "Unexpected record", "Invalid MCAP", "seek")


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
    """Open a folder with metadata.yaml, or a file .mcap or .db3. Raises BagError.

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
        return Bag(path, [_open_file(file) for file in files], "metadata.yaml is missing: read by its files")
    try:
        return Bag(path, [_Indexed(path)])
    except _CutOff:
        files = [path] if path.is_file() else storage_files(path)
        return Bag(path, [_open_file(file) for file in files])


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
        self.message_count = sum(piece.count for piece in pieces)
        self.salvaged = "; ".join(text for text in (salvaged, *(piece.salvaged for piece in pieces)) if text)

    @property
    def files(self) -> tuple[Path, ...]:
        """All files of the recording, in order of their names."""
        return tuple(sorted(file for file in self.path.rglob("*") if file.is_file())) if self.path.is_dir() else (self.path,)

    def messages(self, topics: Collection[Topic] = ()) -> Iterator[tuple[Topic, int, bytes]]:
        """(topic, log time ns, CDR bytes) of these topics, by default of all, in order of log time."""
        for piece in self._pieces:
            yield from piece.messages({topic.key for topic in topics or self.topics})

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
            text = str(error) or type(error).__name__
            if any(sign in text for sign in _CUT_OFF):
                raise _CutOff(f"{path} is cut off") from error
            raise BagError(f"{path} cannot be opened: {text.rstrip('.')}; is it a whole recording of ROS 2? "
                           f"`ros2 bag info {path}` should show it") from error
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
            text = str(error) or type(error).__name__
            raise BagError(f"{self._path} is damaged: {text.rstrip('.')}; repair it with `mcap recover` or "
                           "`sqlite3 … .recover`") from error

    def close(self) -> None:
        self._stack.close()


class _Salvaged:
    """The whole part of a cut .mcap."""

    def __init__(self, path: Path):
        self._path = path
        topics, self.start_ns, last_ns = salvage_topics(path)
        self.end_ns = last_ns + 1
        self.topics = [Topic(topic.name, topic.msgtype, topic.definition, topic.digest, tuple(parse_qos(topic.qos or [])),
                             topic.count) for topic in topics]
        self.count = sum(topic.count for topic in self.topics)
        self.salvaged = f"{path.name} is cut off: {self.count} messages before the end of its whole part"

    def messages(self, keys: set[tuple[str, str]]) -> Iterator[tuple[Topic, int, bytes]]:
        topics = {topic.name: topic for topic in self.topics if topic.key in keys}
        for name, log_ns, raw in salvage_messages(self._path):
            if name in topics:
                yield topics[name], log_ns, raw

    def close(self) -> None:
        pass
