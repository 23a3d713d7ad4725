# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node `recorder`: writes the segmenter's outputs into a folder, with their times of arrival."""

from __future__ import annotations

import time
from pathlib import Path

from rclpy.node import Node
from sensor_msgs.msg import Image

from dcfm_ros import stamps
from dcfm_ros.msg import ClassPalette, KeyframeEvent, MaskInfo
from dcfm_ros.pipeline.message_fields import read_keyframe, read_mask_info
from dcfm_ros.ros import process
from dcfm_ros.ros.names import PACKAGE_NAMESPACE
from dcfm_ros.ros.output_topics import subscribe
from dcfm_ros.ros.parameter_types import declare_fixed
from dcfm_ros.ros.tools.recording import RecordingWriter


class RecorderNode(Node):
    """Recorder of the segmenter in its namespace. `latest_info` and the writer's counters are for live
    display."""

    def __init__(self, folder: Path | None = None, **node_options):
        super().__init__("recorder", namespace=PACKAGE_NAMESPACE, **node_options)
        camera = declare_fixed(
            self, "camera", "", "Which of several cameras of the segmenter; empty: its only one."
        )
        out = declare_fixed(self, "folder", str(folder or "recording"), "Folder to write to.")
        self.writer = RecordingWriter(Path(out))
        self.latest_info: dict | None = None
        self.palette: ClassPalette | None = None
        for topic, received in (
            ("mask", self._mask),
            ("mask_info", self._info),
            ("keyframe", self._keyframe),
            ("palette", self._palette),
        ):
            subscribe(self, camera, topic, received)

    def destroy_node(self) -> None:
        try:
            self.writer.close()
        finally:  # also if the disk is full
            super().destroy_node()

    def _mask(self, message: Image) -> None:
        received_ns = time.monotonic_ns()
        self.writer.mask(
            {
                "stamp_ns": stamps.stamp_ns(message.header.stamp),
                "received_ns": received_ns,
                "frame_id": message.header.frame_id,
                "width": message.width,
                "height": message.height,
                "step": message.step,
                "encoding": message.encoding,
            },
            memoryview(message.data),
        )

    def _info(self, message: MaskInfo) -> None:
        self.latest_info = {"stamp_ns": stamps.stamp_ns(message.header.stamp), **read_mask_info(message)}
        self.writer.info(self.latest_info)

    def _keyframe(self, message: KeyframeEvent) -> None:
        self.writer.keyframe({"stamp_ns": stamps.stamp_ns(message.header.stamp), **read_keyframe(message)})

    def _palette(self, message: ClassPalette) -> None:
        self.palette = message


def main(arguments: list[str] | None = None) -> int:
    process.run(RecorderNode, arguments)
    return 0
