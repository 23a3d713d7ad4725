# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a recording says of a topic."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rosbags.interfaces import Qos
from rosbags.rosbag2.metadata import parse_qos

CDR = "cdr"   # ROS 2's serialization, the only one that is read


@dataclass(frozen=True)
class Topic:
    """A topic of a recording; its messages are all of one type."""

    name: str
    msgtype: str                 # as in sensor_msgs/msg/Image
    definition: str              # of the type, with those it is made of; "" where the recording does not say
    digest: str                  # type hash RIHS01; "" where the recording does not say
    qos: tuple[Qos, ...] = ()    # offered by the publishers
    count: int = 0
    serialization: str = CDR

    @property
    def key(self) -> tuple[str, str, str]:
        return self.name, self.msgtype, self.serialization


def read_qos(text: str | list | None) -> tuple[Qos, ...]:
    """Of publishers, as recordings hold it; empty where it cannot be understood: images are read without it."""
    try:
        return tuple(parse_qos(text or []))
    except Exception:   # whatever hand-edited text makes of the parser
        return ()


def known_digest(text: str | None) -> str:
    """A type hash; "" for what recorders write where they do not know it."""
    return text if text and text.startswith("RIHS01_") else ""


def full_type(name: str) -> str:
    """sensor_msgs/msg/Image also for sensor_msgs/Image, as some writers call it."""
    return re.sub(r"^(\w+)/(\w+)$", r"\1/msg/\2", name)
