# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Names in the ROS graph: where a robot's namespace ends and this package's begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rclpy.node import Node

PACKAGE_NAMESPACE = (
    "dcfm"  # of the nodes, unless they are given another: /dcfm/segmenter, /robot1/dcfm/segmenter
)


def robot_namespace(namespace: str) -> str:
    """The namespace that a node shares with the rest of its robot: its own, without the package's at the end.

    /robot1/dcfm -> /robot1, /dcfm -> /, /front -> /front
    """
    parent, _, last = namespace.rstrip("/").rpartition("/")
    return (parent if last == PACKAGE_NAMESPACE else namespace.rstrip("/")) or "/"


def in_robot(namespace: str, name: str) -> str:
    """A topic outside of the package, such as a camera's: relative names begin in the robot's namespace, not
    in the package's.

    namespace: of the node. So `camera/image_raw` is /camera/image_raw for /dcfm/segmenter, and
    /robot1/camera/image_raw for /robot1/dcfm/segmenter. Absolute and private names (`/`, `~`) and the empty
    name stay as they are.
    """
    if not name or name[0] in "/~":
        return name
    return f"{robot_namespace(namespace).rstrip('/')}/{name}"


def resolved_in_robot(node: Node, parameter: str, name: str) -> tuple[str, str]:
    """A topic as `in_robot` makes it, before and after remapping. Raises ValueError, naming the parameter,
    where it is no topic's name."""
    topic = in_robot(node.get_namespace(), name)
    try:
        return topic, node.resolve_topic_name(topic)
    except Exception as error:  # rclpy has several
        raise ValueError(
            f"{parameter} {topic!r} is not a topic name: use letters, digits, _ and /"
        ) from error
