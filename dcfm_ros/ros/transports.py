# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Image transports: image_transport's names and message types, not all of which are installed everywhere."""

from __future__ import annotations

from typing import Any, NamedTuple

from dcfm_ros.ros.message_types import message_class


class Transport(NamedTuple):
    """An image transport and its message type."""

    name: str
    package: str
    message: str

    @property
    def type(self) -> str:
        return f"{self.package}/msg/{self.message}"

    @property
    def is_video(self) -> bool:
        return self.package != "sensor_msgs"

    def message_class(self) -> Any:
        """Return the message class. Raises ValueError if its package is not installed."""
        try:
            return message_class(self.type)
        except ImportError as error:
            raise ValueError(
                f"image_transport {self.name} needs the package {self.package}, which cannot be imported "
                f"({error}): install ros-<distribution>-{self.package.replace('_', '-')}, or take the "
                "camera's raw or compressed images"
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
    """Return the transport named by a topic's last part, which image_transport appends to the raw topic's
    name."""
    ending = topic.rpartition("/")[2]
    return ending if ending in TRANSPORTS else "raw"
