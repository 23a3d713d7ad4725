# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The whole part of an mcap file that was cut off, as a recorder leaves it that dies: without an index, read from its start."""

from __future__ import annotations

import heapq
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from dcfm_ros.bags.compression import MOST_BYTES
from dcfm_ros.bags.errors import BagError

try:
    import zstandard
    from mcap.exceptions import McapError
    from mcap.records import Channel, Chunk, Message, Schema
    from mcap.stream_reader import CRCValidationError, StreamReader, breakup_chunk
except ImportError:   # only damaged files need it
    StreamReader = None


_DISORDER = 32   # messages


class SalvagedTopic(NamedTuple):
    name: str
    msgtype: str
    definition: str
    digest: str
    qos: str        # offered_qos_profiles, YAML
    count: int


def salvage_topics(path: Path) -> tuple[list[SalvagedTopic], int, int]:
    """The topics of the whole part, with its first and last log time, ns; reads all of it."""
    channels, schemas, counts, start_ns, end_ns = {}, {}, Counter(), 2**63 - 1, 0
    for record in _records(path):
        if isinstance(record, Schema):
            schemas[record.id] = record
        elif isinstance(record, Channel):
            channels[record.id] = record
        elif isinstance(record, Message):
            counts[record.channel_id] += 1
            start_ns, end_ns = min(start_ns, record.log_time), max(end_ns, record.log_time)
    topics = []
    for number, channel in channels.items():
        schema = schemas.get(channel.schema_id)
        definition = schema.data.decode(errors="replace") if schema and schema.encoding == "ros2msg" else ""
        topics.append(SalvagedTopic(
            channel.topic, schema.name if schema else "", definition, channel.metadata.get("topic_type_hash", ""),
            channel.metadata.get("offered_qos_profiles", ""), counts[number]))
    return topics, start_ns, end_ns


def salvage_messages(path: Path) -> Iterator[tuple[str, int, bytes]]:
    """(topic, log time ns, CDR bytes) in order of log time, as far as a recorder's small disorder goes."""
    topics, waiting = {}, []   # a heap
    for number, record in enumerate(_records(path)):
        if isinstance(record, Channel):
            topics[record.id] = record.topic
        elif isinstance(record, Message) and record.channel_id in topics:
            heapq.heappush(waiting, (record.log_time, number, topics[record.channel_id], record.data))
            if len(waiting) > _DISORDER:
                yield _first(waiting)
    while waiting:
        yield _first(waiting)


def _first(waiting: list[tuple[int, int, str, bytes]]) -> tuple[str, int, bytes]:
    log_ns, _, topic, data = heapq.heappop(waiting)
    return topic, log_ns, data


def _records(path: Path) -> Iterator:
    """Records up to the damage. The last before it is left out: it may be cut itself."""
    if StreamReader is None:
        raise BagError(f"{path} is cut off: `pip install mcap` to read the part that is whole, or repair it with `mcap recover`")
    held = None
    with path.open("rb") as file:
        try:
            for record in _unpacked(file):
                if held is not None:
                    yield held
                held = record
        except (McapError, CRCValidationError, zstandard.ZstdError, struct.error, ValueError, OverflowError, MemoryError,
                RuntimeError):   # the last is lz4's
            return   # what comes after cannot be told from rubbish
        if held is not None:
            yield held


def _unpacked(file: BinaryIO) -> Iterator:
    """Records, those of chunks as well; a ValueError at a chunk too large for one."""
    for record in StreamReader(file, emit_chunks=True, validate_crcs=True).records:
        if not isinstance(record, Chunk):
            yield record
            continue
        size = zstandard.frame_content_size(record.data) if record.compression == "zstd" else record.uncompressed_size
        if max(size, record.uncompressed_size) > MOST_BYTES:
            raise ValueError(f"a chunk of {size} bytes")
        yield from breakup_chunk(record, validate_crc=True)
