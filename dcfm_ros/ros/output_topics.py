# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Subscriptions to the output topics of `pipeline/topics.py`."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.node import Node
from rclpy.subscription import Subscription

from dcfm_ros.pipeline.topics import OUTPUTS, prefix_of
from dcfm_ros.ros.latched import LATCHED
from dcfm_ros.ros.message_types import message_class

_QUEUE = 50  # for subscribers that must not miss a message


def subscribe(node: Node, camera: str, topic: str, received: Callable) -> Subscription:
    """Subscribe to a topic of OUTPUTS of a camera, in the node's namespace, with a deep queue."""
    output = OUTPUTS[topic]
    return node.create_subscription(
        message_class(output.type),
        prefix_of(camera) + output.name,
        received,
        LATCHED if output.latched else _QUEUE,
    )
