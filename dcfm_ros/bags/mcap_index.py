# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Finds the messages of an .mcap: from its own index if that is complete, otherwise by scanning the file
once.

Some recorders leave the index out (`noMessageIndex`, `noChunking`), or were killed before or while writing
it. It is used only if it accounts for every message that the file declares.
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

from dcfm_ros.bags.compression import check_chunk, decompressed_chunk
from dcfm_ros.bags.errors import BagError

MAGIC = b"\x89MCAP0\r\n"
DAMAGE = (ValueError, struct.error, McapError, OverflowError)  # errors that damaged records raise
RECORD = struct.Struct("<BQ")  # opcode, length
MESSAGE = struct.Struct("<HIQQ")  # channel, sequence, log time, publish time; then the data
_INDEX_RECORD = RECORD.size + 2 + 4  # bytes of a MessageIndex record without its entries
_INDEX_ENTRY = 16
_MAX_DESCRIPTION = 2**26  # limit in bytes for a schema or a channel


class ChunkAt(NamedTuple):
    """A chunk and what it contains."""

    start_ns: int  # log time of its first message
    offset: int  # of the record in the file
    channels: frozenset[int]  # channels with messages in it


@dataclass
class Index:
    """Index of a file's messages.

    loose: messages outside of chunks, in the order of the file: channel, log time, offset of the record
    """

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
        if isinstance(record, Schema):
            self.schemas[record.id] = record
            return
        check_same(self.channels.get(record.id, record), record)
        self.channels[record.id] = record

    def add(self, channel: int, log_ns: int) -> None:
        self.counts[channel] += 1
        self.start_ns, self.last_ns = min(self.start_ns, log_ns), max(self.last_ns, log_ns)


def find_messages(file: BinaryIO) -> Index:
    """Index an open file that starts with MAGIC. Raises OSError if the system fails. At damaged data the scan
    stops, and the index has a note."""
    note = ""
    try:
        summary = SeekingReader(file, record_size_limit=_MAX_DESCRIPTION).get_summary() or Summary()
        if file.tell() + len(MAGIC) != file.seek(
            0, io.SEEK_END
        ):  # the summary of another file that was appended to this one
            summary = Summary()
    except Exception as error:  # corrupt input can raise anything
        if (
            isinstance(error, OSError) and error.errno != errno.EINVAL
        ):  # EINVAL: a seek to before the start of the file
            raise
        summary, note = Summary(), "has a damaged index and was scanned from its start"
    if (index := _from_summary(summary)) is not None:
        return index
    index = _from_scan(file)
    said = summary.statistics.message_count if summary.statistics else index.count
    if said != index.count:
        note = f"declares {said} messages, but contains {index.count}"
    undescribed = sum(count for channel, count in index.counts.items() if channel not in index.channels)
    if undescribed:
        note = f"contains {undescribed} messages of undescribed channels"
    index.note = index.note or note
    return index


def check_same(known: Channel, other: Channel) -> None:
    """Raise ValueError if two descriptions of one channel differ, as they may after files were
    concatenated."""
    if (known.topic, known.message_encoding) != (other.topic, other.message_encoding):
        raise ValueError(f"channel {known.id} is {known.topic} in one place and {other.topic} in another")


def records(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield (opcode, start, end) of the records in a chunk's data. Raises one of DAMAGE if it is damaged."""
    at = 0
    while at < len(data):
        opcode, length = RECORD.unpack_from(data, at)
        first = at + RECORD.size
        at = first + length
        if at > len(data):
            raise ValueError(f"a record of {length} bytes does not fit into its chunk")
        yield opcode, first, at


def read_chunk(file: BinaryIO, offset: int) -> bytes:
    """Return the records in the chunk at this offset, decompressed. Raises one of DAMAGE if it is damaged."""
    file.seek(offset)
    opcode, length = RECORD.unpack(file.read(RECORD.size))
    if opcode != Opcode.CHUNK:
        raise ValueError(f"there is no chunk at byte {offset}")
    check_chunk(length)
    return decompressed_chunk(Chunk.read(ReadDataStream(io.BytesIO(file.read(length)))))


def _from_summary(summary: Summary) -> Index | None:
    """Return the index from the file's summary; None if that does not account for every message."""
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
        if counts:  # not from the statistics: some writers omit the times there
            index.start_ns = min(index.start_ns, chunk.message_start_time)
            index.last_ns = max(index.last_ns, chunk.message_end_time)
    return index if +found == +index.counts else None


def _indexed(chunk: ChunkIndex) -> dict[int, int]:
    """Return the number of messages in a chunk by channel, from the lengths of its message indexes."""
    offsets = sorted((offset, channel) for channel, offset in chunk.message_index_offsets.items())
    ends = [offset for offset, _ in offsets[1:]] + [
        chunk.chunk_start_offset + chunk.chunk_length + chunk.message_index_length
    ]
    return {
        channel: (end - offset - _INDEX_RECORD) // _INDEX_ENTRY
        for (offset, channel), end in zip(offsets, ends)
    }


def _from_scan(file: BinaryIO) -> Index:
    """Index the file from its records, up to its end or the first damage: what follows damage cannot be told
    from garbage."""
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
            if is_ended:  # in a truncated file, this chunk is most likely where it ends
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
        what = f"is damaged at byte {at}{why}" if is_ended else "is truncated, or still being written"
        index.note = f"{what}: {index.count} messages in its intact part"
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
        if length > _MAX_DESCRIPTION:
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
    for record in descriptions:  # only after the whole chunk was read without an error
        index.describe(record)
    for message in messages:
        index.add(*message)
    if messages:
        index.chunks.append(
            ChunkAt(min(log_ns for _, log_ns in messages), at, frozenset(channel for channel, _ in messages))
        )


def description(opcode: int, data: bytes) -> Schema | Channel:
    return (Schema if opcode == Opcode.SCHEMA else Channel).read(ReadDataStream(io.BytesIO(data)))
