# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Names in the ROS graph: the robot's namespace and the package's namespace within it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rclpy.node import Node

PACKAGE_NAMESPACE = "dcfm"  # default namespace of the nodes: /dcfm/segmenter, /robot1/dcfm/segmenter


def robot_namespace(namespace: str) -> str:
    """Return the namespace that a node shares with the rest of its robot: its own without a trailing `dcfm`.

    /robot1/dcfm -> /robot1, /dcfm -> /, /front -> /front
    """
    parent, _, last = namespace.rstrip("/").rpartition("/")
    return (parent if last == PACKAGE_NAMESPACE else namespace.rstrip("/")) or "/"


def in_robot(namespace: str, name: str) -> str:
    """Return the name of a topic outside the package, such as a camera's: relative names are relative to the
    robot's namespace, not to the package's.

    namespace: of the node. So `camera/image_raw` is /camera/image_raw for /dcfm/segmenter, and
    /robot1/camera/image_raw for /robot1/dcfm/segmenter. Absolute and private names (`/`, `~`) and the empty
    name are returned unchanged.
    """
    if not name or name[0] in "/~":
        return name
    return f"{robot_namespace(namespace).rstrip('/')}/{name}"


def resolved_in_robot(node: Node, parameter: str, name: str) -> tuple[str, str]:
    """Return a topic as resolved by `in_robot`, before and after remapping. Raises ValueError, naming the
    parameter, if it is not a topic name."""
    topic = in_robot(node.get_namespace(), name)
    try:
        return topic, node.resolve_topic_name(topic)
    except Exception as error:  # rclpy raises several types
        raise ValueError(
            f"{parameter} {topic!r} is not a topic name: use letters, digits, _ and /"
        ) from error
