# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node `viewer`: shows the segmenter's outputs together with their images in the Rerun viewer."""

from __future__ import annotations

import time
from contextlib import suppress
from copy import copy

import cv2
import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from rclpy.qos_overriding_options import QoSOverridingOptions

from dcfm_ros import stamps
from dcfm_ros.msg import ClassPalette, KeyframeEvent
from dcfm_ros.pipeline.decoding import decode_compressed, decode_image
from dcfm_ros.pipeline.frames import InputError
from dcfm_ros.pipeline.video_packets import VideoDecoder
from dcfm_ros.ros import process
from dcfm_ros.ros.camera_parameters import CameraParameters
from dcfm_ros.ros.camera_port import LOG_PERIOD_S
from dcfm_ros.ros.diagnostics_publisher import DiagnosticsPublisher, key_values
from dcfm_ros.ros.intake import ImageIntake, VideoIntake, read_packet
from dcfm_ros.ros.names import PACKAGE_NAMESPACE
from dcfm_ros.ros.output_topics import subscribe
from dcfm_ros.ros.parameter_types import declare_fixed
from dcfm_ros.ros.segmenter_cameras import SegmenterCameras
from dcfm_ros.ros.seldom import Seldom
from dcfm_ros.ros.stamp_join import StampJoin
from dcfm_ros.ros.transports import TRANSPORTS
from dcfm_ros.viewer.viewer import open_viewer

_PARTS = ("image", "mask", "info")
_SILENT_S = 5.0
_WAITING = 20  # maximum number of incomplete frames: in mode two_sided masks come with the next keyframe


class ViewerNode(Node):
    """Viewer node. Subscribes to the topics of the segmenter in its namespace, whose parameters name the
    cameras.

    `counts`: frames shown; masks shown without an image or mask_info; images without a mask, not shown;
    images and masks that could not be decoded.
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
        self._said = Seldom(LOG_PERIOD_S)
        self.counts = {"shown": 0, "mask_alone": 0, "image_alone": 0, "undecodable": 0}
        self._classes: list[tuple[int, str, tuple[int, int, int]]] = []
        self._segmenter = f"{self.get_namespace().rstrip('/')}/{segmenter}"
        self._thresholds: dict[str, float] = {}  # by image topic, from the segmenter's diagnostics
        # one per camera, once the cameras are known
        self._joins: list[tuple[CameraParameters, StampJoin]] = []
        self._mask_s = time.monotonic()  # arrival of the newest mask
        self._target, self._viewer = target, open_viewer(target)
        self._cameras = SegmenterCameras(self, segmenter, self._subscribe_all)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._read_diagnostics, 10)
        DiagnosticsPublisher(self, self._report)

    def destroy_node(self) -> None:
        for camera, join in self._joins:
            for stamp_ns, parts in join.rest():
                self._show(camera, stamp_ns, parts)
        self._viewer.close()
        self.get_logger().info(f"viewed: {self._summary()}")
        super().destroy_node()

    def _subscribe_all(self, cameras: list[CameraParameters]) -> None:
        self._joins, self._mask_s = [self._subscribe_camera(camera) for camera in cameras], time.monotonic()
        topics = ", ".join(self.resolve_topic_name(camera.image_topic) for camera in cameras)
        self.get_logger().info(f"viewing {topics}: {self._target}")

    def _subscribe_camera(self, camera: CameraParameters) -> tuple[CameraParameters, StampJoin]:
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
        for topic, received in (
            ("mask", part("mask")),
            ("mask_info", part("info")),
            ("keyframe", keyframe),
            ("palette", self._palette),
        ):
            subscribe(self, camera.name, topic, received)
        return camera, join

    def _palette(self, message: ClassPalette) -> None:
        classes = [(c.id, c.name, (c.r, c.g, c.b)) for c in message.classes]
        if classes != self._classes:  # all cameras have the same
            self._classes = classes
            self._viewer.classes(classes)
            # The palette's subscription is created last, so the segmenter discovers it last: all other
            # subscriptions are matched by now.
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
        ):  # with `mask_size`; the viewer needs equal sizes to draw one over the other
            mask = cv2.resize(mask, image.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        self._viewer.frame(camera.name, stamp_ns, image, mask, score, threshold, is_keyframe, age)

    def _decoded(self, message, transport: str = "raw") -> np.ndarray | None:
        """Decode a message to (H, W, 3) uint8 RGB; None if there is none, or if it cannot be decoded. A mask
        has its value in all three channels."""
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
        if self._said.is_time("undecodable"):
            self.get_logger().warning(f"not shown: {error}")

    def _read_diagnostics(self, message: DiagnosticArray) -> None:
        shown = {self.resolve_topic_name(camera.image_topic) for camera, _ in self._joins}
        for status in message.status:
            # Any node can publish under this name, and any topic: others would fill the memory.
            if status.hardware_id not in shown or not status.name.startswith(f"{self._segmenter}: "):
                continue
            for item in status.values:
                if item.key == "threshold":
                    with suppress(ValueError):
                        self._thresholds[status.hardware_id] = float(item.value)

    def _report(self) -> list[DiagnosticStatus]:
        values = {**self.counts, "errors": self._viewer.errors, "left_out": self._viewer.left_out}
        level, text = DiagnosticStatus.WARN if self._viewer.errors else DiagnosticStatus.OK, self._summary()
        if (silent_s := time.monotonic() - self._mask_s) > _SILENT_S:
            level = DiagnosticStatus.WARN
            text += (
                f", no mask for {silent_s:.0f} s: is {self._segmenter} active? If it has other cameras since "
                "the viewer's start, start the viewer again"
            )
        return [
            DiagnosticStatus(
                level=level, name=self.get_fully_qualified_name(), message=text, values=key_values(values)
            )
        ]

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
