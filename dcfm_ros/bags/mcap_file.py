# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One .mcap file of a recording."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import BinaryIO

import numpy as np
from mcap.opcode import Opcode
from mcap.records import Channel

from dcfm_ros.bags.errors import BagError, read_errors_for
from dcfm_ros.bags.mcap_index import (
    DAMAGE,
    MESSAGE,
    RECORD,
    Index,
    check_same,
    description,
    find_messages,
    read_chunk,
    records,
)
from dcfm_ros.bags.topic import (
    CDR,
    Key,
    Topic,
    full_type,
    known_digest,
    merge_topics,
    read_qos,
    read_serialization,
)

_DEFINED = ("ros2msg", "ros2idl")  # schema encodings of ROS 2


class McapFile:
    """Yields messages in order of log time, whatever their order in the file; messages with equal times in
    the order of the file.

    path: name used in messages to the user; differs from the file that is read if that was decompressed
    topics: several channels may have the same topic
    start_ns, last_ns: log times of the first and the last message
    note: what is wrong with the file; "" if nothing is
    """

    def __init__(self, path: Path, named: Path):
        self._path, self.path = path, named
        with read_errors_for(named), path.open("rb") as file:
            try:
                self._index = find_messages(file)
            except BagError as error:
                raise BagError(f"{named}: {error}") from error
        self.count, self.start_ns, self.last_ns = self._index.count, self._index.start_ns, self._index.last_ns
        self.note = f"{named.name} {self._index.note}" if self._index.note else ""
        self.topics, self._keys, self.counts = merge_topics(
            (number, _topic(self._index, number), self._index.counts[number])
            for number in self._index.channels
        )

    def messages(self, keys: set[Key]) -> Iterator[tuple[Key, int, bytes]]:
        """Yield (topic key, log time in ns, bytes) of these topics. Raises BagError if the file is damaged,
        and OSError."""
        channels = frozenset(number for number, key in self._keys.items() if key in keys)
        chunks = [
            (chunk.start_ns, chunk.offset, False) for chunk in self._index.chunks if chunk.channels & channels
        ]
        heapq.heapify(chunks)
        loose = self._loose(channels)
        following = next(loose, None)  # next message outside of chunks
        waiting: list[tuple] = []  # heap of messages read but not due yet, from chunks that overlap in time
        serial = count()
        with read_errors_for(self.path), self._path.open("rb") as file:
            while chunks or following is not None:
                if following is not None and (not chunks or following < chunks[0][:2]):
                    is_loose, (start_ns, offset) = True, following
                else:
                    is_loose, (start_ns, offset) = False, chunks[0][:2]
                while waiting and waiting[0][0] < start_ns:
                    yield self._first(waiting)
                messages = list(self._read(file, offset, not is_loose, channels))
                if is_loose:
                    following = next(loose, None)
                elif _pop_or_defer(chunks, messages):
                    continue
                for channel, log_ns, raw in messages:
                    heapq.heappush(waiting, (log_ns, offset, next(serial), channel, raw))
            while waiting:
                yield self._first(waiting)

    def _first(self, waiting: list) -> tuple[Key, int, bytes]:
        log_ns, _, _, channel, raw = heapq.heappop(waiting)
        return self._keys[channel], log_ns, raw

    def _loose(self, channels: frozenset[int]) -> Iterator[tuple[int, int]]:
        """Yield (log time, offset), in order, of these channels' messages outside of chunks."""
        numbers, times, offsets = (np.asarray(values) for values in self._index.loose)
        wanted = np.flatnonzero(np.isin(numbers, list(channels)))
        wanted = wanted[np.lexsort((offsets[wanted], times[wanted]))]
        return ((int(times[at]), int(offsets[at])) for at in wanted)

    def _read(
        self, file: BinaryIO, offset: int, is_chunk: bool, channels: frozenset[int]
    ) -> Iterator[tuple[int, int, bytes]]:
        """Yield (channel, log time, bytes) of these channels' messages in the chunk at this offset, or of the
        single message there."""
        try:
            if is_chunk:
                data = read_chunk(file, offset)
                for opcode, first, after in records(data):
                    if (
                        opcode == Opcode.MESSAGE
                        and (header := MESSAGE.unpack_from(data, first))[0] in channels
                    ):
                        channel, _, log_ns, _ = header
                        yield channel, log_ns, data[first + MESSAGE.size : after]
                    elif opcode == Opcode.CHANNEL:
                        found = description(opcode, data[first:after])
                        if isinstance(found, Channel):
                            check_same(self._index.channels.get(found.id, found), found)
            else:
                file.seek(offset)
                _, length = RECORD.unpack(file.read(RECORD.size))
                channel, _, log_ns, _ = MESSAGE.unpack(file.read(MESSAGE.size))
                yield channel, log_ns, file.read(length - MESSAGE.size)
        except BagError as error:
            raise BagError(f"{self.path}: {error}") from error
        except DAMAGE as error:
            raise BagError(f"{self.path} is damaged: {error}; repair it with `mcap recover`") from error


def _pop_or_defer(chunks: list[tuple[int, int, bool]], messages: list[tuple[int, int, bytes]]) -> bool:
    """Pop the first chunk of a heap of (log time, offset, is this the time of a wanted message), or defer it;
    return whether it was deferred.

    A chunk is queued by the time of its first message of any channel. If the wanted messages in it are later
    than another chunk, it is read again when they are due, instead of being kept in memory: a channel may
    have very old times in every chunk.
    """
    start_ns, offset, is_exact = heapq.heappop(chunks)
    first_ns = min((log_ns for _, log_ns, _ in messages), default=start_ns)
    if is_exact or not chunks or first_ns <= chunks[0][0]:
        return False
    heapq.heappush(chunks, (first_ns, offset, True))
    return True


def _topic(index: Index, number: int) -> Topic:
    channel = index.channels[number]
    schema = index.schemas.get(channel.schema_id)
    serialization = read_serialization(channel.message_encoding)
    name = schema.name if schema else ""
    return Topic(
        channel.topic,
        full_type(name) if serialization == CDR else name,
        schema.data.decode(errors="replace") if schema and schema.encoding in _DEFINED else "",
        known_digest(channel.metadata.get("topic_type_hash")),
        read_qos(channel.metadata.get("offered_qos_profiles")),
        serialization=serialization,
    )
