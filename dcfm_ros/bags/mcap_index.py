# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the messages of an .mcap are: by its own index where that is whole, else by reading the file once
from its start.

Recorders leave the index out (`noMessageIndex`, `noChunking`, a recorder that died) or stop writing it
midway: it is taken only where it accounts for every message that the file says it has.
"""

from __future__ import annotations

import errno
import io
import struct
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.reader import SeekingReader
from mcap.records import Channel, Chunk, ChunkIndex, Schema
from mcap.summary import Summary

from dcfm_ros.bags.compression import check_chunk, unpacked_chunk
from dcfm_ros.bags.errors import BagError

MAGIC = b"\x89MCAP0\r\n"
DAMAGE = (ValueError, struct.error, McapError, OverflowError)  # what damaged records raise
RECORD = struct.Struct("<BQ")  # opcode, length
MESSAGE = struct.Struct("<HIQQ")  # channel, sequence, log time, publish time; then the data
_INDEX_RECORD = RECORD.size + 2 + 4  # bytes of a MessageIndex without its entries
_INDEX_ENTRY = 16
_MOST_DESCRIPTION = 2**26  # bytes of a schema or a channel


class ChunkAt(NamedTuple):
    start_ns: int  # of its first message
    offset: int  # of its record in the file
    channels: frozenset[int]  # that it holds messages of


@dataclass
class Index:
    """loose: of messages outside of chunks, in the file's order: channel, log time, offset of the record"""

    schemas: dict[int, Schema] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    counts: Counter[int] = field(default_factory=Counter)  # messages by channel
    start_ns: int = 2**63 - 1
    last_ns: int = 0
    chunks: list[ChunkAt] = field(default_factory=list)
    loose: tuple[array, array, array] = field(default_factory=lambda: (array("H"), array("Q"), array("Q")))
    note: str = ""  # what is wrong with the file

    @property
    def count(self) -> int:
        return self.counts.total()

    def describe(self, record: Schema | Channel) -> None:
        known = self.schemas if isinstance(record, Schema) else self.channels
        if isinstance(record, Channel):
            check_same(known.get(record.id, record), record)
        known[record.id] = record

    def add(self, channel: int, log_ns: int) -> None:
        self.counts[channel] += 1
        self.start_ns, self.last_ns = min(self.start_ns, log_ns), max(self.last_ns, log_ns)


def find_messages(file: BinaryIO) -> Index:
    """Of an open file that begins with MAGIC. Raises OSError where the system fails; what is damaged ends
    what is read, and is noted."""
    note = ""
    try:
        summary = SeekingReader(file, record_size_limit=_MOST_DESCRIPTION).get_summary() or Summary()
        if file.tell() + len(MAGIC) != file.seek(
            0, io.SEEK_END
        ):  # of another file, to which this one was joined
            summary = Summary()
    except Exception as error:  # whatever rubbish makes of the reader
        if (
            isinstance(error, OSError) and error.errno != errno.EINVAL
        ):  # that is of a place before the file's start
            raise
        summary, note = Summary(), "has a damaged index and was read from its start"
    if (index := _by_summary(summary)) is not None:
        return index
    index = _by_reading(file)
    said = summary.statistics.message_count if summary.statistics else index.count
    if said != index.count:
        note = f"says that it holds {said} messages, and {index.count} are there"
    undescribed = sum(count for channel, count in index.counts.items() if channel not in index.channels)
    if undescribed:
        note = f"holds {undescribed} messages of channels that it does not describe"
    index.note = index.note or note
    return index


def check_same(known: Channel, other: Channel) -> None:
    """A ValueError where two descriptions of one channel differ, as after files were joined."""
    if (known.topic, known.message_encoding) != (other.topic, other.message_encoding):
        raise ValueError(f"channel {known.id} is {known.topic} in one place and {other.topic} in another")


def records(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(opcode, first byte, first byte after) of the records in a chunk; one of DAMAGE where it is damaged."""
    at = 0
    while at < len(data):
        opcode, length = RECORD.unpack_from(data, at)
        first = at + RECORD.size
        at = first + length
        if at > len(data):
            raise ValueError(f"a record of {length} bytes does not fit into its chunk")
        yield opcode, first, at


def read_chunk(file: BinaryIO, offset: int) -> bytes:
    """The records in the chunk at this offset; one of DAMAGE where it is damaged."""
    file.seek(offset)
    opcode, length = RECORD.unpack(file.read(RECORD.size))
    if opcode != Opcode.CHUNK:
        raise ValueError(f"there is no chunk at byte {offset}")
    check_chunk(length)
    return unpacked_chunk(Chunk.read(ReadDataStream(io.BytesIO(file.read(length)))))


def _by_summary(summary: Summary) -> Index | None:
    """None where it does not account for every message."""
    statistics = summary.statistics
    if statistics is None or statistics.chunk_count != len(summary.chunk_indexes):
        return None
    index = Index(summary.schemas, summary.channels, Counter(statistics.channel_message_counts))
    if index.count != statistics.message_count or not index.counts.keys() <= index.channels.keys():
        return None
    if any(
        channel.schema_id and channel.schema_id not in index.schemas for channel in index.channels.values()
    ):
        return None
    found: Counter[int] = Counter()
    for chunk in summary.chunk_indexes:
        found.update(counts := _indexed(chunk))
        index.chunks.append(ChunkAt(chunk.message_start_time, chunk.chunk_start_offset, frozenset(counts)))
        if counts:  # the statistics' own times are left out by some writers
            index.start_ns = min(index.start_ns, chunk.message_start_time)
            index.last_ns = max(index.last_ns, chunk.message_end_time)
    return index if +found == +index.counts else None


def _indexed(chunk: ChunkIndex) -> dict[int, int]:
    """Messages in a chunk by channel, as the lengths of its message indexes tell."""
    offsets = sorted((offset, channel) for channel, offset in chunk.message_index_offsets.items())
    ends = [offset for offset, _ in offsets[1:]] + [
        chunk.chunk_start_offset + chunk.chunk_length + chunk.message_index_length
    ]
    return {
        channel: (end - offset - _INDEX_RECORD) // _INDEX_ENTRY
        for (offset, channel), end in zip(offsets, ends)
    }


def _by_reading(file: BinaryIO) -> Index:
    """By the records themselves, up to the end or to where it is damaged: what comes after cannot be told
    from rubbish."""
    index, size = Index(), file.seek(0, io.SEEK_END)
    file.seek(max(0, size - len(MAGIC)))
    is_ended = file.read() == MAGIC
    at, opcode, has_all, why = len(MAGIC), 0, False, ""
    while opcode != Opcode.FOOTER and at + RECORD.size <= size:
        file.seek(at)
        opcode, length = RECORD.unpack(file.read(RECORD.size))
        after = at + RECORD.size + length
        if opcode == 0 or after > size:
            break
        has_all = has_all or opcode == Opcode.DATA_END
        try:
            _read_record(index, file, at, opcode, length)
        except BagError as error:
            if is_ended:  # else such a chunk is most likely where it was cut
                raise
            why = f" ({error})"
            break
        except DAMAGE as error:
            why = f" ({error})"
            break
        at = after
    file.seek(at)
    if opcode == Opcode.FOOTER and file.read(2 * len(MAGIC)) == 2 * MAGIC:
        index.note = (
            f"is followed by {size - at - len(MAGIC)} bytes of another .mcap, which are not read: give that "
            f"as a file of its own"
        )
    elif opcode != Opcode.FOOTER and not (has_all and is_ended):
        what = f"is damaged at byte {at}{why}" if is_ended else "is cut off, or still being written"
        index.note = f"{what}: {index.count} messages before the end of its whole part"
    return index


def _read_record(index: Index, file: BinaryIO, at: int, opcode: int, length: int) -> None:
    if opcode == Opcode.CHUNK:
        _read_chunk(index, file, at)
    elif opcode == Opcode.MESSAGE:
        if length < MESSAGE.size:
            raise ValueError(f"a message of {length} bytes")
        channel, _, log_ns, _ = MESSAGE.unpack(file.read(MESSAGE.size))
        index.add(channel, log_ns)
        for values, value in zip(index.loose, (channel, log_ns, at)):
            values.append(value)
    elif opcode in (Opcode.SCHEMA, Opcode.CHANNEL):
        if length > _MOST_DESCRIPTION:
            raise ValueError(f"a description of {length} bytes")
        index.describe(description(opcode, file.read(length)))


def _read_chunk(index: Index, file: BinaryIO, at: int) -> None:
    data = read_chunk(file, at)
    messages, descriptions = [], []
    for opcode, first, after in records(data):
        if opcode == Opcode.MESSAGE:
            channel, _, log_ns, _ = MESSAGE.unpack_from(data, first)
            messages.append((channel, log_ns))
        elif opcode in (Opcode.SCHEMA, Opcode.CHANNEL):
            descriptions.append(description(opcode, data[first:after]))
    for record in descriptions:  # only of a chunk that is whole
        index.describe(record)
    for message in messages:
        index.add(*message)
    if messages:
        index.chunks.append(
            ChunkAt(min(log_ns for _, log_ns in messages), at, frozenset(channel for channel, _ in messages))
        )


def description(opcode: int, data: bytes) -> Schema | Channel:
    return (Schema if opcode == Opcode.SCHEMA else Channel).read(ReadDataStream(io.BytesIO(data)))
