# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a recording says of a topic."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from rosbags.interfaces import Qos
from rosbags.rosbag2.metadata import parse_qos

CDR = "cdr"  # ROS 2's serialization, the only one that is read
Key = tuple[str, str, str]  # of a topic


@dataclass(frozen=True)
class Topic:
    """A topic of a recording; its messages are all of one type."""

    name: str
    msgtype: str  # as in sensor_msgs/msg/Image
    definition: str  # of the type, with those it is made of; "" where the recording does not say
    digest: str  # type hash RIHS01; "" where the recording does not say
    qos: tuple[Qos, ...] = ()  # offered by the publishers
    count: int = 0
    serialization: str = CDR

    @property
    def key(self) -> Key:
        return self.name, self.msgtype, self.serialization


def gathered(
    numbered: Iterable[tuple[int, Topic, int]],
) -> tuple[tuple[Topic, ...], dict[int, Key], Counter[Key]]:
    """Of a file's (number, topic, messages), of which several may be of one topic: the topics, each once, the
    key of each number, and the messages of each key."""
    topics: dict[Key, Topic] = {}
    keys: dict[int, Key] = {}
    counts: Counter[Key] = Counter()
    for number, topic, count in numbered:
        topics.setdefault(topic.key, topic)
        keys[number] = topic.key
        counts[topic.key] += count
    return tuple(topics.values()), keys, counts


def read_serialization(text: str | None) -> str:
    return (text or CDR).lower()


def read_qos(text: str | list | None) -> tuple[Qos, ...]:
    """Of publishers, as recordings hold it; empty where it cannot be understood: images are read without
    it."""
    try:
        return tuple(parse_qos(text or []))
    except Exception:  # whatever hand-edited text makes of the parser
        return ()


def known_digest(text: str | None) -> str:
    """A type hash; "" for what recorders write where they do not know it."""
    return text if text and text.startswith("RIHS01_") else ""


def full_type(name: str) -> str:
    """sensor_msgs/msg/Image also for sensor_msgs/Image, as some writers call it."""
    return re.sub(r"^(\w+)/(\w+)$", r"\1/msg/\2", name)
