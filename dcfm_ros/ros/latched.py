# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Latched topics with the meaning of the class ids, available to late-joining subscribers."""

from __future__ import annotations

from collections.abc import Sequence

from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from dcfm_ros.model.class_map import MappedClass
from dcfm_ros.msg import ClassColor, ClassPalette

try:
    from vision_msgs.msg import LabelInfo, VisionClass
except ImportError:  # not on PyPI: published where the distribution has it
    LabelInfo = None

LATCHED = QoSProfile(
    depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL, reliability=ReliabilityPolicy.RELIABLE
)


class ClassTopics:
    """`palette`, and `label_info` where vision_msgs is installed; published once on `publish`."""

    def __init__(self, node: LifecycleNode, prefix: str, model: str, classes: Sequence[MappedClass]):
        self._node = node
        self._latched = [
            (
                node.create_lifecycle_publisher(ClassPalette, f"{prefix}palette", LATCHED),
                _palette(model, classes),
            )
        ]
        if LabelInfo is not None:
            self._latched.append(
                (
                    node.create_lifecycle_publisher(LabelInfo, f"{prefix}label_info", LATCHED),
                    _label_info(classes),
                )
            )

    def publish(self) -> None:
        for publisher, message in self._latched:
            message.header.stamp = self._node.get_clock().now().to_msg()
            publisher.publish(message)

    def destroy(self) -> None:
        for publisher, _ in self._latched:
            self._node.destroy_lifecycle_publisher(publisher)


def _palette(model: str, classes: Sequence[MappedClass]) -> ClassPalette:
    colors = [ClassColor(id=c.id, name=c.name, r=c.color[0], g=c.color[1], b=c.color[2]) for c in classes]
    return ClassPalette(model=model, classes=colors)


def _label_info(classes: Sequence[MappedClass]):
    return LabelInfo(
        class_map=[VisionClass(class_id=c.id, class_name=c.name) for c in classes], threshold=0.0
    )
