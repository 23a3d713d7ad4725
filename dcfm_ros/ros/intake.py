# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Image intake: converts a camera's messages to frames. Images are decoded only when a mask is made; video
packets are all decoded, as each depends on previous ones."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from rclpy.qos import QoSProfile, qos_profile_sensor_data
from std_msgs.msg import Header

from dcfm_ros import stamps
from dcfm_ros.pipeline.decoding import decode_compressed, decode_image
from dcfm_ros.pipeline.frames import Frame
from dcfm_ros.pipeline.video_bits import VideoError
from dcfm_ros.pipeline.video_packets import Outcome, Packet, from_compressed_video, from_ffmpeg_packet
from dcfm_ros.pipeline.video_thread import WAITING, VideoThread
from dcfm_ros.ros.transports import TRANSPORTS

Load = Callable[[int], Frame]  # (received_ns): creates the frame on the mask thread, or raises InputError


class Intake(Protocol):
    """Intake of one camera, from activate to deactivate. `received` and `lost` are called on the executor's
    thread."""

    qos: QoSProfile  # of the subscription

    def received(self, message) -> None: ...

    def lost(self) -> None:
        """Note that messages were lost in transport."""

    def stop(self) -> None: ...


class ImageIntake:
    """Intake of still images, see `open_intake`."""

    qos = qos_profile_sensor_data

    def __init__(
        self,
        camera: str,
        transport: str,
        admits: Callable[[int], bool],
        offer: Callable[[Load], None],
        refuse: Callable[[VideoError], None],
    ):
        self._camera, self._admits, self._offer = camera, admits, offer  # bad images are refused in `load`
        self._decode = decode_compressed if transport == "compressed" else decode_image

    def received(self, message) -> None:
        stamp_ns = stamps.stamp_ns(message.header.stamp)

        def load(received_ns: int) -> Frame:
            decoded = self._decode(message)
            return Frame(
                self._camera,
                stamp_ns,
                decoded.pixels,
                decoded.is_bgr,
                received_ns,
                received_ns,
                message.header,
            )

        if self._admits(stamp_ns):
            self._offer(load)

    def lost(self) -> None:
        pass

    def stop(self) -> None:
        pass


class VideoIntake:
    """Intake of video packets, see `open_intake`; its callbacks are called on the decoder thread. Pictures
    are converted to RGB in `load`, so that dropped ones cost nothing."""

    # Best effort as for images, but deep enough that a burst after a key picture does not overwrite packets.
    qos = QoSProfile(depth=WAITING, reliability=qos_profile_sensor_data.reliability)

    def __init__(
        self,
        camera: str,
        transport: str,
        admits: Callable[[int], bool],
        offer: Callable[[Load], None],
        refuse: Callable[[VideoError], None],
    ):
        self._camera, self._transport, self._admits, self._offer, self._refuse = (
            camera,
            transport,
            admits,
            offer,
            refuse,
        )
        self._thread = VideoThread(self._deliver, camera)
        self.lost, self.stop = self._thread.lose, self._thread.stop

    def received(self, message) -> None:
        self._thread.put(read_packet(self._transport, message, time.monotonic_ns()))

    def _deliver(self, outcome: Outcome) -> None:
        if outcome.error is not None:
            self._refuse(outcome.error)
            return
        header, arrived_ns = outcome.packet.context

        def load(received_ns: int) -> Frame:
            return Frame(
                self._camera, outcome.packet.stamp_ns, outcome.rgb(), False, arrived_ns, arrived_ns, header
            )

        if self._admits(outcome.packet.stamp_ns):
            self._offer(load)


def open_intake(
    camera: str,
    transport: str,
    admits: Callable[[int], bool],
    offer: Callable[[Load], None],
    refuse: Callable[[VideoError], None],
) -> Intake:
    """Create the intake of a camera. admits(stamp_ns): returns whether an image gets a mask; offer(load):
    called with each that does; refuse(error): called for a packet without a picture"""
    kind = VideoIntake if TRANSPORTS[transport].is_video else ImageIntake
    return kind(camera, transport, admits, offer, refuse)


def read_packet(transport: str, message, arrived_ns: int = 0) -> Packet:
    """Return the packet of a video message, with (header, arrived_ns) as its context."""
    if transport == "ffmpeg":
        return from_ffmpeg_packet(message, (message.header, arrived_ns))
    return from_compressed_video(
        message, (Header(stamp=message.timestamp, frame_id=message.frame_id), arrived_ns)
    )
