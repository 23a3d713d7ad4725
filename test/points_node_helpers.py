# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Helpers for tests of the node `points`: a robot that publishes masks and geometry, and the node."""

from __future__ import annotations

import pytest
from builtin_interfaces.msg import Time
from points_helpers import CLASSES, cloud_fields, image_fields, info_fields, scene
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField
from std_msgs.msg import Header

from dcfm_ros.msg import ClassColor, ClassPalette
from dcfm_ros.ros.latched import LATCHED
from dcfm_ros.ros.points_node import PointsNode

FRAME = "optical_frame"
POSE = "0 -0.5 -0.25 0.5 -0.5 0.5 0.5"  # of a lidar: x forward, y left, z up


def arguments(**parameters) -> list[str]:
    return [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]


class Robot:
    """Publishes masks, palette and geometry; collects points. `at` is the stamp of what is sent, in
    milliseconds."""

    def __init__(
        self,
        probe,
        kind=Image,
        topic="/pointed/camera/depth/image_raw",
        info="/pointed/camera/depth/camera_info",
        prefix="/pointed",
        listen=True,
        reliable=False,  # geometry and calibrations; masks are
        depth=20,
    ):
        self.probe, self.kind = probe, kind
        self.mask, self.confidence = (
            probe.publisher(Image, f"{prefix}/{name}", True, depth) for name in ("mask", "confidence")
        )
        self.geometry = probe.publisher(kind, topic, reliable, depth)
        self.info = probe.publisher(CameraInfo, info, reliable, depth)
        self.palette = probe.node.create_publisher(ClassPalette, f"{prefix}/palette", LATCHED)
        self.topic, self.points = f"{prefix}/points", []
        self.send_palette()
        if listen:
            self.listen()

    def listen(self):
        self.points = self.probe.collect(PointCloud2, self.topic)

    def send_palette(self, classes=CLASSES):
        self.palette.publish(
            ClassPalette(classes=[ClassColor(id=i, name=n, r=c[0], g=c[1], b=c[2]) for i, n, c in classes])
        )

    def connect(self, node, confidence=False):
        """Wait until the node has all subscriptions, and knows palette and calibration."""
        for publisher in (self.mask, self.geometry, self.info, *([self.confidence] if confidence else [])):
            if publisher is not self.info or node._settings.info_topic:
                self.probe.spin_until(
                    lambda: publisher.get_subscription_count() > 0,
                    f"a subscription of {publisher.topic_name}",
                )
        self.send_info()
        self.probe.spin_until(
            lambda: node._classes and (node._info or not node._settings.info_topic), "palette and calibration"
        )
        return self

    def send_info(self, **changes):
        self.info.publish(CameraInfo(**info_fields(**changes)))

    def header(self, at, frame=FRAME):
        return Header(
            stamp=Time(sec=1_700_000_000 + at // 1000, nanosec=at % 1000 * 1_000_000), frame_id=frame
        )

    def send_mask(self, at, mask=None):
        self.mask.publish(
            Image(header=self.header(at), **image_fields(scene()[1] if mask is None else mask, "mono8"))
        )

    def send_depth(self, at, frame=FRAME, depth=None, **changes):
        depth = scene()[0] if depth is None else depth
        self.geometry.publish(
            Image(**{**image_fields(depth, "32FC1"), "header": self.header(at, frame), **changes})
        )

    def send_cloud(self, at, points, frame=FRAME, **changes):
        self.geometry.publish(
            PointCloud2(
                **{**cloud_fields(points, field=PointField), "header": self.header(at, frame), **changes}
            )
        )

    def received(self, count=1):
        self.probe.spin_until(lambda: len(self.points) >= count, f"{count} clouds")
        assert len(self.points) == count
        return self.points[-1]


@pytest.fixture
def start(probe):
    """`start(**parameters)`: the node in this process, beside the probe, where no segmenter of another test
    is."""
    started = []

    def start(**parameters):
        node = PointsNode(
            context=probe.context, cli_args=["--ros-args", "-r", "__ns:=/pointed", *arguments(**parameters)]
        )
        probe.add(node)
        started.append(node)
        return node

    yield start
    for node in started:
        node.destroy_node()


def refused(probe, node, kind, count=1):
    """Return its message once so many inputs have been refused for this reason."""
    probe.spin_until(lambda: node.counts[f"refused_{kind}"] == count, f"{count} refused for {kind}")
    return node._last_error


def state_of(probe, until=lambda status: True):
    return probe.spin_until(
        lambda: next(
            (
                status
                for message in probe.arrays()
                for status in message.status
                if status.name == "/pointed/points" and until(status)
            ),
            None,
        ),
        "such a diagnostic",
    )
