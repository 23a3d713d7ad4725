# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The camera node with a recording, in the process of the tests."""

from __future__ import annotations

from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from ros_helpers import NODE
from sensor_msgs.msg import CompressedImage, Image

from dcfm_ros.ros.camera_node import CameraNode

ALL = QoSProfile(depth=1000)  # of what a test counts


def node_of(probe, source, **values) -> CameraNode:
    values = {"source": str(source), "wait_for_subscribers": 1, "loop": False, **values}
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    return CameraNode(context=probe.context, parameter_overrides=overrides)


def play(probe, source, until=lambda: True, live=(), segmenter=NODE, **values) -> CameraNode:
    """Play a recording to what has subscribed, until its end and until what it brings is there; the node is
    closed then.

    live: topics to which the segmenter has subscribed: see `begin`.
    """
    node = begin(probe, source, live, segmenter, **values) if live else node_of(probe, source, **values)
    probe.add(node)
    try:
        probe.spin_until(lambda: node.finished.is_set() and until(), f"the end of {source}")
    finally:
        probe.remove(node)
        node.destroy_node()
    return node


def begin(probe, source, live, segmenter=NODE, **values) -> CameraNode:
    """The first image goes out when the segmenter knows of a publisher on each of these topics, and of all
    who want its masks: it listens best effort, so what comes before would be lost. The node waits for a
    second subscriber, which comes then."""
    node = node_of(probe, source, wait_for_subscribers=2, **values)
    try:
        for topic in live:
            probe.diagnostic(topic, lambda status: status.message.startswith("no image yet"))
        probe.meet(segmenter)
        for topic in live:
            probe.collect(CompressedImage if topic.endswith("/compressed") else Image, topic)
    except BaseException:
        node.destroy_node()
        raise
    return node
