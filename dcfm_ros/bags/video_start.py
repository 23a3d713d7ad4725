# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Starts in the middle of a recording: video has to be decoded from a keyframe of the stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from itertools import islice

from dcfm_ros.bags.arrivals import read_packet
from dcfm_ros.bags.reading import Bag
from dcfm_ros.bags.topic import Topic
from dcfm_ros.bags.topics import CameraTopic
from dcfm_ros.pipeline.frames import InputError
from dcfm_ros.pipeline.video_bits import CODECS, parse_packet
from dcfm_ros.pipeline.video_packets import codec_of


def first_needed(bag: Bag, cameras: Sequence[CameraTopic], first: Mapping[str, int]) -> dict[str, int]:
    """Return, by camera, the number of the first message that has to be read to start with the image number
    `first`.

    For images that is the message itself; for video, the last key picture up to it that no later picture
    refers back across, or 0 if there is none. Numbers count the messages of all cameras. Earlier messages are
    read for this, but not decoded.
    """
    needed = {camera.name: 0 if camera.is_video else first.get(camera.name, 0) for camera in cameras}
    wanted = {
        camera.topic.key: (camera.name, first.get(camera.name, 0)) for camera in cameras if camera.is_video
    }
    last = max((number for _, number in wanted.values()), default=0)
    if not last:
        return needed
    with closing(bag.messages([camera.topic for camera in cameras])) as messages:
        for number, (topic, _, raw) in enumerate(islice(messages, last + 1)):
            name, number_wanted = wanted.get(topic.key, ("", -1))
            if number <= number_wanted and _is_clean(bag, topic, raw):
                needed[name] = number
    return needed


def _is_clean(bag: Bag, topic: Topic, raw: bytes) -> bool:
    """Return whether this is such a key picture and includes its parameter sets."""
    try:
        packet = read_packet(bag, topic, raw)
        contents = parse_packet(codec := codec_of(packet.format), packet.data)
    except InputError:
        return False
    return contents.is_clean and all(name in contents.sets for name in CODECS[codec].sets)
