# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A topic as a recording describes it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from rosbags.interfaces import Qos
from rosbags.rosbag2.metadata import parse_qos

from dcfm_ros.plain_files import parse_yaml

CDR = "cdr"  # ROS 2's serialization, the only supported one
Key = tuple[str, str, str]  # (name, type, serialization) of a topic


@dataclass(frozen=True)
class Topic:
    """A topic of a recording; all its messages have the same type."""

    name: str
    msgtype: str  # for example sensor_msgs/msg/Image
    definition: str  # of the type and the types it contains; "" if not in the recording
    digest: str  # type hash RIHS01; "" if not in the recording
    qos: tuple[Qos, ...] = ()  # offered by the publishers
    count: int = 0
    serialization: str = CDR

    @property
    def key(self) -> Key:
        return self.name, self.msgtype, self.serialization


def merge_topics(
    numbered: Iterable[tuple[int, Topic, int]],
) -> tuple[tuple[Topic, ...], dict[int, Key], Counter[Key]]:
    """Merge a file's (number, topic, message count) entries, of which several may have the same topic.

    Returns the topics, each once, the topic key of each number, and the message count of each key.
    """
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
    """Return the publishers' QoS from a recording's metadata; empty if it cannot be parsed: images can be
    read without it."""
    try:
        return tuple(parse_qos(parse_yaml(text) if isinstance(text, str) and text else text or []))
    except Exception:  # hand-edited text can raise anything
        return ()


def known_digest(text: str | None) -> str:
    """Return the type hash; "" for the placeholders that recorders write if they do not know it."""
    return text if text and text.startswith("RIHS01_") else ""


def full_type(name: str) -> str:
    """Return sensor_msgs/msg/Image also for sensor_msgs/Image, which some writers use."""
    return re.sub(r"^(\w+)/(\w+)$", r"\1/msg/\2", name)
