# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The output topics of `pipeline/topics.py` in ROS: their message classes, and subscriptions to them."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from rclpy.node import Node
from rclpy.subscription import Subscription

from dcfm_ros.pipeline.topics import OUTPUTS, prefix_of
from dcfm_ros.ros.latched import LATCHED

_QUEUE = 50  # for subscribers that must not miss a message


def message_class(name: str) -> type:
    """Return the class of a type such as sensor_msgs/msg/Image. Raises ImportError if its package is not
    installed."""
    package, _, message = name.split("/")
    return getattr(import_module(f"{package}.msg"), message)


def subscribe(node: Node, camera: str, topic: str, received: Callable) -> Subscription:
    """Subscribe to a topic of OUTPUTS of a camera, in the node's namespace, with a deep queue."""
    output = OUTPUTS[topic]
    return node.create_subscription(
        message_class(output.type),
        prefix_of(camera) + output.name,
        received,
        LATCHED if output.latched else _QUEUE,
    )
