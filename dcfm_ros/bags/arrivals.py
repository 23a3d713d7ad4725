# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A recording's image messages, one after the other, and the pictures that they become."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
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
    of_compressed_video,
    of_ffmpeg_packet,
)


class Arrival(NamedTuple):
    """An image, or a message of which none comes."""

    number: int  # running number among the messages of the cameras' topics, from 0
    log_ns: int  # when it was recorded
    header: Any  # its std_msgs/Header; None where the message cannot be read
    decode: Callable[[], DecodedImage]  # raises InputError


class Images:
    """A topic whose messages are images by themselves."""

    def __init__(self, bag: Bag, topic: Topic):
        self._bag, self._topic = bag, topic
        self._decode = decode_image if topic.msgtype == IMAGE else decode_compressed

    def take(self, number: int, log_ns: int, raw: bytes) -> list[Arrival]:
        """What the next message brings."""
        try:
            message = self._bag.decode(self._topic, raw)
        except InputError as error:
            return [Arrival(number, log_ns, None, raising(error))]
        return [Arrival(number, log_ns, message.header, lambda: self._decode(message))]

    def rest(self) -> list[Arrival]:
        """At the end."""
        return []


class Video:
    """A topic of video packets, taken in order. Each message has one arrival.

    With B-frames pictures come in the order in which they are shown, each with the header of its own packet;
    numbers and log times are given out in the order of the messages, so that both only grow.
    """

    def __init__(self, bag: Bag, topic: Topic):
        self._bag, self._topic, self._decoder = bag, topic, VideoDecoder()
        self._places: deque[tuple[int, int]] = (
            deque()
        )  # number and log time of messages whose arrivals are to come

    def take(self, number: int, log_ns: int, raw: bytes) -> list[Arrival]:
        self._places.append((number, log_ns))
        try:
            packet = read_packet(self._bag, self._topic, raw)
        except InputError as error:
            return [
                *self._arrivals(self._decoder.lose()),
                Arrival(*self._places.popleft(), None, raising(error)),
            ]
        return self._arrivals(self._decoder.decode(packet))

    def rest(self) -> list[Arrival]:
        return self._arrivals(self._decoder.flush())

    def _arrivals(self, outcomes: list[Outcome]) -> list[Arrival]:
        return [
            Arrival(
                *self._places.popleft(),
                outcome.packet.sender,
                lambda outcome=outcome: DecodedImage(outcome.rgb(), is_bgr=False),
            )
            for outcome in outcomes
        ]


def source_of(bag: Bag, topic: Topic) -> Images | Video:
    return Video(bag, topic) if topic.msgtype in VIDEOS else Images(bag, topic)


def read_packet(bag: Bag, topic: Topic, raw: bytes) -> Packet:
    """A message of a video topic, its header as `sender`; an InputError where the bytes are none."""
    message = bag.decode(topic, raw)
    if topic.msgtype == COMPRESSED_VIDEO:
        header = typestore().types["std_msgs/msg/Header"](stamp=message.timestamp, frame_id=message.frame_id)
        return of_compressed_video(message, header)
    return of_ffmpeg_packet(message, message.header)


def raising(error: InputError) -> Callable[[], DecodedImage]:
    def decode() -> DecodedImage:
        raise error

    return decode
