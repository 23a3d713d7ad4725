# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Streams of video packets, as cameras publish them, whose pictures say their number."""

from __future__ import annotations

import os
from contextlib import contextmanager
from fractions import Fraction
from functools import cache
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
from video_helpers import HEIGHT, WIDTH, av, number_in, picture

from dcfm_ros.pipeline.video_packets import Outcome, Packet

os.environ.setdefault("SVT_LOG", "1")  # errors only

PERIOD_NS = 100_000_000
GOP, FRAMES = 10, 30
_X265 = "repeat-headers=1:log-level=none:keyint=10:min-keyint=10:scenecut=0:"
# name: format of the messages, encoder, its options
STREAMS = {
    "h264": ("h264", "libx264", {"preset": "ultrafast", "tune": "zerolatency"}),
    "h264 b": ("h264", "libx264", {"preset": "medium", "bf": "3", "x264-params": "b-adapt=0:scenecut=0"}),
    "h264 matrices": (
        "h264",
        "libx264",
        {"preset": "ultrafast", "tune": "zerolatency", "profile": "high", "x264-params": "cqm=jvt"},
    ),
    "h264 444": ("h264", "libx264", {"preset": "ultrafast", "tune": "zerolatency"}),
    "h265": ("h265", "libx265", {"preset": "ultrafast", "x265-params": f"{_X265}bframes=0"}),
    "h265 b": (
        "h265",
        "libx265",
        {"preset": "ultrafast", "x265-params": f"{_X265}bframes=3:b-adapt=0:open-gop=0"},
    ),
    "h265 open": (
        "h265",
        "libx265",
        {"preset": "ultrafast", "x265-params": f"{_X265}bframes=3:b-adapt=0:open-gop=1"},
    ),
    "av1": ("av1", "libsvtav1", {"preset": "12", "svtav1-params": "pred-struct=1:keyint=10:lp=1"}),
    "vp9": ("vp9", "libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}),
}
WITHOUT_B = ("h264", "h265", "av1", "vp9")
WITH_B = ("h264 b", "h265 b")


class Encoded(NamedTuple):
    """A packet of a stream."""

    format: str
    data: bytes
    number: int  # of its picture, from 0 in the order in which they are shown

    def packet(self, number: int | None = None, pts: int | None = None, format: str | None = None) -> Packet:
        """number: of the stamp, by default the picture's own; comes back as `context` beside the picture's"""
        return Packet(
            format or self.format,
            self.data,
            PERIOD_NS * (self.number if number is None else number),
            pts,
            context=self.number,
        )


@cache
def encoded(name: str, frames: int = FRAMES, size: tuple[int, int] = (HEIGHT, WIDTH)) -> tuple[Encoded, ...]:
    """The packets in decoding order, a key picture at every tenth picture. Skips the test where PyAV lacks
    the encoder."""
    with same_scheduling():
        return _encoded(*STREAMS[name], frames, size, is_444=name.endswith("444"))


@contextmanager
def same_scheduling():
    """SVT-AV1 makes the thread that opens it a real-time one where it may, as root: it would keep all others
    from a core, and so would every process that the tests start."""
    policy, priority = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, priority)


def _encoded(
    kind: str, encoder: str, options: dict, frames: int, size: tuple[int, int], is_444: bool
) -> tuple[Encoded, ...]:
    try:
        context = av.CodecContext.create(encoder, "w")
    except av.codec.codec.UnknownCodecError:
        pytest.skip(f"PyAV is built without the encoder {encoder}")
    context.height, context.width = size
    context.pix_fmt = "yuv444p" if is_444 else "yuv420p"
    context.time_base, context.framerate, context.gop_size = Fraction(1, 10), Fraction(10), GOP
    context.options = options
    packets = []
    for number in [*range(frames), None]:
        frame = None
        if number is not None:
            image = picture(number)
            frame = av.VideoFrame.from_ndarray(
                np.ascontiguousarray(image if size == (HEIGHT, WIDTH) else stretched(image, size)),
                format="rgb24",
            )
            frame.pts = number
        packets += [Encoded(kind, bytes(packet), packet.pts) for packet in context.encode(frame)]
    assert len(packets) == frames
    return tuple(packets)


def stretched(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return image[np.arange(size[0]) * HEIGHT // size[0]][:, np.arange(size[1]) * WIDTH // size[1]]


def shown(outcome: Outcome) -> int:
    """The number that a picture of the usual size says."""
    assert outcome.error is None, outcome.error
    return number_in(outcome.rgb())


def told(outcomes: list[Outcome]) -> list:
    """Of each outcome the number in its picture, which has to be that of its packet, or the kind of its
    error."""
    found = []
    for outcome in outcomes:
        if outcome.error is None:
            assert shown(outcome) == outcome.packet.context
        found.append(outcome.packet.context if outcome.error is None else outcome.error.kind)
    return found


def stamp(ns: int) -> SimpleNamespace:
    """Return a builtin_interfaces/Time."""
    return SimpleNamespace(sec=ns // 10**9, nanosec=ns % 10**9)


def write_video_bag(
    folder, topics: dict[str, tuple[str, list[Encoded]]], storage: str = "mcap", extra=lambda writer: None
):
    """A recording of video topics; returns its folder.

    topics: by name (type, packets): message k of a topic has log time k periods after START_NS, and of each
        further topic a little later; its stamp is that of its picture, as its pts. Data instead of a packet
        is written as the bytes of the message
    """
    from bags_helpers import LOG_DELAY_NS, OFFSET_NS, START_NS
    from rosbags.rosbag2 import StoragePlugin, Writer

    from dcfm_ros.bags.types import typestore

    store = typestore()
    with Writer(folder, version=9, storage_plugin=StoragePlugin[storage.upper()]) as writer:
        extra(writer)
        for topic, (kind, packets) in topics.items():
            connection, offset_ns = (
                writer.add_connection(topic, kind, typestore=store),
                list(topics).index(topic) * OFFSET_NS,
            )
            for place, one in enumerate(packets):
                raw = (
                    one
                    if isinstance(one, bytes)
                    else store.serialize_cdr(
                        video_message(kind, one, START_NS + one.number * PERIOD_NS, topic), kind
                    )
                )
                writer.write(connection, START_NS + place * PERIOD_NS + offset_ns + LOG_DELAY_NS, raw)
    return folder


def video_message(kind: str, one: Encoded, stamp_ns: int, frame_id: str):
    """A message of rosbags' own class."""
    from dcfm_ros.bags.stamps import stamp_message
    from dcfm_ros.bags.types import COMPRESSED_VIDEO, typestore

    types, data = typestore().types, np.frombuffer(one.data, np.uint8)
    if kind == COMPRESSED_VIDEO:
        return types[kind](timestamp=stamp_message(stamp_ns), frame_id=frame_id, data=data, format=one.format)
    header = types["std_msgs/msg/Header"](stamp=stamp_message(stamp_ns), frame_id=frame_id)
    return types[kind](
        header=header,
        width=WIDTH,
        height=HEIGHT,
        encoding=f"{one.format};yuv420p;bgr8;bgr8",
        pts=one.number,
        flags=0,
        is_bigendian=False,
        data=data,
    )
