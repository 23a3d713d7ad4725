# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Beginning in the middle of a recording: a video has to be decoded from a key picture on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from itertools import islice

from dcfm_ros.bags.arrivals import read_packet
from dcfm_ros.bags.reading import Bag
from dcfm_ros.bags.topic import Topic
from dcfm_ros.bags.topics import CameraTopic
from dcfm_ros.pipeline.frames import InputError
from dcfm_ros.pipeline.video_bits import CODECS, look_into
from dcfm_ros.pipeline.video_packets import codec_of


def first_needed(bag: Bag, cameras: Sequence[CameraTopic], first: Mapping[str, int]) -> dict[str, int]:
    """By camera, the number of the first message that is needed to begin with the image of the number
    `first`: its own, and of a video that of the last key picture up to it from which on nothing builds on
        what came before, 0 where there is none.

    Numbers count the messages of all cameras. What lies before is read for this, not decoded.
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
    """Is it such a key picture, and does it bring its parameter sets?"""
    try:
        packet = read_packet(bag, topic, raw)
        contents = look_into(codec := codec_of(packet.format), packet.data)
    except InputError:
        return False
    return contents.is_clean and all(name in contents.sets for name in CODECS[codec].sets)
