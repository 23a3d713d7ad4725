# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How images come: image_transport's names of the ways, and the types of their messages, of which not all are
installed everywhere."""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple


class Transport(NamedTuple):
    """A way that images come."""

    name: str
    package: str
    message: str

    @property
    def type(self) -> str:
        return f"{self.package}/msg/{self.message}"

    @property
    def is_video(self) -> bool:
        return self.package != "sensor_msgs"

    def message_class(self) -> type:
        """Raises ValueError where its package is not installed."""
        try:
            return getattr(import_module(f"{self.package}.msg"), self.message)
        except ImportError as error:
            raise ValueError(
                f"image_transport {self.name} needs the package {self.package}, which cannot be imported "
                f"({error}): install "
                f"ros-<distribution>-{self.package.replace('_', '-')}, or take the camera's raw or "
                f"compressed images"
            ) from error


TRANSPORTS = {
    transport.name: transport
    for transport in (
        Transport("raw", "sensor_msgs", "Image"),
        Transport("compressed", "sensor_msgs", "CompressedImage"),
        Transport("ffmpeg", "ffmpeg_image_transport_msgs", "FFMPEGPacket"),
        Transport("foxglove", "foxglove_msgs", "CompressedVideo"),
    )
}
TYPES = {transport.type: transport for transport in TRANSPORTS.values()}


def transport_of(topic: str) -> str:
    """The name of the transport that a topic's ending tells: as image_transport writes it behind the raw
    topic's name."""
    ending = topic.rpartition("/")[2]
    return ending if ending in TRANSPORTS else "raw"
