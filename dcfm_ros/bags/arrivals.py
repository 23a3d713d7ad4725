# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reads a recording's image messages, one after the other, and decodes them to images."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from dcfm_ros.bags.reading import Bag
from dcfm_ros.bags.topic import Topic
from dcfm_ros.bags.types import COMPRESSED_VIDEO, IMAGE, VIDEOS, typestore
from dcfm_ros.pipeline.decoding import DecodedImage, decode_compressed, decode_image
from dcfm_ros.pipeline.frames import InputError
from dcfm_ros.pipeline.video_packets import (
    Outcome,
    Packet,
    VideoDecoder,
    from_compressed_video,
    from_ffmpeg_packet,
)


class Arrival(NamedTuple):
    """An image, or a message that cannot be decoded to one."""

    number: int  # index among the messages of the cameras' topics, from 0
    log_ns: int  # log time
    header: Any  # its std_msgs/Header; None where the message cannot be read
    decode: Callable[[], DecodedImage]  # raises InputError


class ImageReader:
    """Reads a topic whose messages are single images."""

    def __init__(self, bag: Bag, topic: Topic):
        self._bag, self._topic = bag, topic
        self._decode = decode_image if topic.msgtype == IMAGE else decode_compressed

    def read(self, number: int, log_ns: int, raw: bytes) -> list[Arrival]:
        """Return the images that are complete with the next message."""
        try:
            message = self._bag.decode(self._topic, raw)
        except InputError as error:
            return [Arrival(number, log_ns, None, failing_decode(error))]
        return [Arrival(number, log_ns, message.header, lambda: self._decode(message))]

    def flush(self) -> list[Arrival]:
        """Return the images that are left at the end of the recording."""
        return []


class VideoReader:
    """Reads a topic of video packets, in order. Each message yields one arrival.

    With B-frames, images come in display order, each with the header of its own packet. Numbers and log times
    are assigned in the order of the messages, so that both increase.
    """

    def __init__(self, bag: Bag, topic: Topic):
        self._bag, self._topic, self._decoder = bag, topic, VideoDecoder()
        # (number, log time) of messages whose image is still to come
        self._pending: deque[tuple[int, int]] = deque()

    def read(self, number: int, log_ns: int, raw: bytes) -> list[Arrival]:
        self._pending.append((number, log_ns))
        try:
            packet = read_packet(self._bag, self._topic, raw)
        except InputError as error:
            return [
                *self._arrivals(self._decoder.lose()),
                Arrival(*self._pending.popleft(), None, failing_decode(error)),
            ]
        return self._arrivals(self._decoder.decode(packet))

    def flush(self) -> list[Arrival]:
        return self._arrivals(self._decoder.flush())

    def _arrivals(self, outcomes: list[Outcome]) -> list[Arrival]:
        return [
            Arrival(*self._pending.popleft(), outcome.packet.context, partial(_decoded, outcome))
            for outcome in outcomes
        ]


def image_reader(bag: Bag, topic: Topic) -> ImageReader | VideoReader:
    """Return the reader for the type of this topic."""
    return VideoReader(bag, topic) if topic.msgtype in VIDEOS else ImageReader(bag, topic)


def read_packet(bag: Bag, topic: Topic, raw: bytes) -> Packet:
    """Return a message of a video topic as a packet with the header as `context`. Raises InputError if the
    bytes are not a valid message."""
    message = bag.decode(topic, raw)
    if topic.msgtype == COMPRESSED_VIDEO:
        header = typestore().types["std_msgs/msg/Header"](stamp=message.timestamp, frame_id=message.frame_id)
        return from_compressed_video(message, header)
    return from_ffmpeg_packet(message, message.header)


def _decoded(outcome: Outcome) -> DecodedImage:
    return DecodedImage(outcome.rgb(), is_bgr=False)


def failing_decode(error: InputError) -> Callable[[], DecodedImage]:
    """Return a `decode` that raises this error."""

    def decode() -> DecodedImage:
        raise error

    return decode
