# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node `viewer`: shows what the segmenter publishes, with the images that it was made of, in the Rerun
viewer."""

from __future__ import annotations

import time
from contextlib import suppress
from copy import copy

import cv2
import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import Image

from dcfm_ros import stamps
from dcfm_ros.msg import ClassPalette, KeyframeEvent, MaskInfo
from dcfm_ros.pipeline.decoding import decode_compressed, decode_image
from dcfm_ros.pipeline.frames import InputError
from dcfm_ros.pipeline.video_packets import VideoDecoder
from dcfm_ros.ros import process
from dcfm_ros.ros.camera_port import LOG_PERIOD_S
from dcfm_ros.ros.intake import ImageIntake, VideoIntake, read_packet
from dcfm_ros.ros.latched import LATCHED
from dcfm_ros.ros.names import PACKAGE_NAMESPACE
from dcfm_ros.ros.parameter_types import declare_fixed
from dcfm_ros.ros.parameters import CameraParameters
from dcfm_ros.ros.segmenter_cameras import SegmenterCameras
from dcfm_ros.ros.stamp_join import StampJoin
from dcfm_ros.ros.transports import TRANSPORTS
from dcfm_ros.viewer.viewer import open_viewer

_QUEUE = 50
_PARTS = ("image", "mask", "info")
_SILENT_S = 5.0
_WAITING = 20  # frames that may wait for their mask: in mode two_sided it comes with the next keyframe


class ViewerNode(Node):
    """Listens beside the segmenter of its namespace, which it asks for the cameras.

    `counts`: frames shown; masks without an image or mask_info, shown without; images for which no mask came,
    not shown; images and masks that could not be decoded.
    """

    def __init__(self, **node_options):
        super().__init__("viewer", namespace=PACKAGE_NAMESPACE, **node_options)
        target = declare_fixed(
            self,
            "target",
            "rerun",
            "rerun (a window), rerun:web (in a browser), or a file name ending in .rrd.",
        )
        segmenter = declare_fixed(
            self, "segmenter", "segmenter", "Name of the segmenter to show, in the viewer's own namespace."
        )
        self.counts = {"shown": 0, "mask_alone": 0, "image_alone": 0, "undecodable": 0}
        self._classes: list[tuple[int, str, tuple[int, int, int]]] = []
        self._segmenter = f"{self.get_namespace().rstrip('/')}/{segmenter}"
        self._thresholds: dict[str, float] = {}  # by image topic, as the segmenter's diagnostics tell them
        self._joins: list[
            tuple[CameraParameters, StampJoin]
        ] = []  # of each camera, once the segmenter has told of them
        self._mask_s = time.monotonic()  # when the newest mask came
        self._target, self._viewer = target, open_viewer(target)
        self._cameras = SegmenterCameras(self, segmenter, self._listen_to)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._read_diagnostics, 10)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_timer(1.0, self._publish_diagnostics, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def destroy_node(self) -> None:
        for camera, join in self._joins:
            for stamp_ns, parts in join.rest():
                self._show(camera, stamp_ns, parts)
        self._viewer.close()
        self.get_logger().info(f"viewed: {self._summary()}")
        super().destroy_node()

    def _listen_to(self, cameras: list[CameraParameters]) -> None:
        self._joins, self._mask_s = [self._listen(camera) for camera in cameras], time.monotonic()
        topics = ", ".join(self.resolve_topic_name(camera.image_topic) for camera in cameras)
        self.get_logger().info(f"viewing {topics}: {self._target}")

    def _listen(self, camera: CameraParameters) -> tuple[CameraParameters, StampJoin]:
        prefix = f"{camera.name}/" if camera.name else ""
        join = StampJoin(_PARTS, _WAITING)

        def part(name):
            def received(message) -> None:
                for stamp_ns, parts in join.add(stamps.stamp_ns(message.header.stamp), name, message):
                    self._show(camera, stamp_ns, parts)

            return received

        def keyframe(message: KeyframeEvent) -> None:
            self._viewer.keyframe(
                camera.name, stamps.stamp_ns(message.header.stamp), message.reason, message.score
            )

        transport, decoder = TRANSPORTS[camera.transport], VideoDecoder()

        def packet(message) -> None:
            for outcome in decoder.decode(read_packet(camera.transport, message)):
                if outcome.error is not None:
                    self._undecodable(outcome.error)
                    continue
                for stamp_ns, parts in join.add(outcome.packet.stamp_ns, "image", outcome):
                    self._show(camera, stamp_ns, parts)

        self.create_subscription(
            transport.message_class(),
            camera.image_topic,
            packet if transport.is_video else part("image"),
            copy(VideoIntake.qos if transport.is_video else ImageIntake.qos),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )
        self.create_subscription(Image, f"{prefix}mask", part("mask"), _QUEUE)
        self.create_subscription(MaskInfo, f"{prefix}mask_info", part("info"), _QUEUE)
        self.create_subscription(KeyframeEvent, f"{prefix}keyframe", keyframe, _QUEUE)
        self.create_subscription(ClassPalette, f"{prefix}palette", self._palette, LATCHED)
        return camera, join

    def _palette(self, message: ClassPalette) -> None:
        classes = [(c.id, c.name, (c.r, c.g, c.b)) for c in message.classes]
        if classes != self._classes:  # all cameras have the same
            self._classes = classes
            self._viewer.classes(classes)
            # Made last, the palette's subscription is known to the segmenter last: by now it sends all others
            # their share, too.
            self.get_logger().info(f"connected to the segmenter: {len(classes)} classes")

    def _show(self, camera: CameraParameters, stamp_ns: int, parts: dict) -> None:
        mask, info = parts.get("mask"), parts.get("info")
        if mask is None:
            self.counts["image_alone"] += "image" in parts
            return
        image, mask = self._decoded(parts.get("image"), camera.transport), self._decoded(mask)
        if mask is None:
            return
        self._mask_s = time.monotonic()
        self.counts["shown" if image is not None and info is not None else "mask_alone"] += 1
        score, is_keyframe, age = (
            (None, False, None) if info is None else (info.score, info.is_keyframe, info.feature_age_frames)
        )
        threshold = self._thresholds.get(self.resolve_topic_name(camera.image_topic))
        mask = mask[..., 0]
        if (
            image is not None and image.shape[:2] != mask.shape
        ):  # `mask_size`: drawn over the image, pixel on pixel
            mask = cv2.resize(mask, image.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        self._viewer.frame(camera.name, stamp_ns, image, mask, score, threshold, is_keyframe, age)

    def _decoded(self, message, transport: str = "raw") -> np.ndarray | None:
        """(H, W, 3) uint8 RGB; None where there is no image, or none that can be decoded. Three times the
        value for a mask."""
        if message is None:
            return None
        try:
            if TRANSPORTS[transport].is_video:  # the outcome of its packet
                return message.rgb()
            pixels, is_bgr = (
                decode_compressed(message) if transport == "compressed" else decode_image(message)
            )
        except InputError as error:
            self._undecodable(error)
            return None
        return pixels[..., ::-1] if is_bgr else pixels

    def _undecodable(self, error: InputError) -> None:
        self.counts["undecodable"] += 1
        self.get_logger().warning(f"not shown: {error}", throttle_duration_sec=LOG_PERIOD_S)

    def _read_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            for item in status.values:
                if item.key == "threshold" and status.name.startswith(f"{self._segmenter}: "):
                    with suppress(ValueError):  # anyone can send under this name
                        self._thresholds[status.hardware_id] = float(item.value)

    def _publish_diagnostics(self) -> None:
        values = {**self.counts, "errors": self._viewer.errors, "left_out": self._viewer.left_out}
        level, text = DiagnosticStatus.WARN if self._viewer.errors else DiagnosticStatus.OK, self._summary()
        if (silent_s := time.monotonic() - self._mask_s) > _SILENT_S:
            level = DiagnosticStatus.WARN
            text += (
                f", no mask for {silent_s:.0f} s: is {self._segmenter} active? If it has other cameras since "
                f"the viewer's "
                "start, start the viewer again"
            )
        status = DiagnosticStatus(
            level=level,
            name=self.get_fully_qualified_name(),
            message=text,
            values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
        )
        message = DiagnosticArray(status=[status])
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)

    def _summary(self) -> str:
        counts = self.counts
        text = f"{counts['shown']} frames"
        for key, what in (
            ("mask_alone", "masks without image or mask_info"),
            ("image_alone", "images without mask"),
            ("undecodable", "images that could not be decoded"),
        ):
            text += f", {counts[key]} {what}" if counts[key] else ""
        text += f", {self._viewer.left_out} left out" if self._viewer.left_out else ""
        return text + (f", {self._viewer.errors} errors of the viewer" if self._viewer.errors else "")


def main(arguments: list[str] | None = None) -> int:
    process.run(ViewerNode, arguments)
    return 0
