# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pose of a sensor in a camera's frame: fixed, or from tf if tf2_ros is installed."""

from __future__ import annotations

from typing import Protocol

from builtin_interfaces.msg import Time
from rclpy.node import Node
from rclpy.time import Time as RosTime

from dcfm_ros.points.errors import PointsError
from dcfm_ros.points.transform import Transform, from_quaternion, parse_transform

try:
    from tf2_ros import Buffer, TransformException, TransformListener
except ImportError:  # not on PyPI; part of the distributions (tf2_ros_py)
    Buffer = None


class Transforms(Protocol):
    def lookup(self, target: str, source: str, stamp: Time) -> Transform:
        """Return the transform from the frame `source` to the frame `target`. Raises PointsError if
        unknown."""


class FixedTransform:
    """A constant transform, whatever the frames. text: "x y z qx qy qz qw", metres, the pose of the sensor in
    the camera's frame"""

    def __init__(self, text: str):
        self._transform = parse_transform(text)

    def lookup(self, target: str, source: str, stamp: Time) -> Transform:
        return self._transform


class TfTransforms:
    """Transforms from /tf and /tf_static at the time of the stamp. For the executor's thread; never blocks.
    Raises ModuleNotFoundError if tf2_ros is not installed."""

    def __init__(self, node: Node):
        if Buffer is None:
            raise ModuleNotFoundError(
                "tf2_ros is not installed: install ros-<distribution>-tf2-ros-py, or give the parameter "
                "transform ('x y z qx qy qz qw', the sensor's pose in the camera's frame)"
            )
        self._buffer = Buffer()
        self._listener = TransformListener(self._buffer, node)

    def lookup(self, target: str, source: str, stamp: Time) -> Transform:
        try:
            found = self._buffer.lookup_transform(target, source, RosTime.from_msg(stamp)).transform
        except TransformException as error:
            raise PointsError(
                "transform",
                f"no transform from {source[:60]!r} to {target[:60]!r} ({str(error)[:200]}): publish it "
                "on /tf or /tf_static, or set the parameter transform",
            ) from error
        t, q = found.translation, found.rotation
        return from_quaternion((t.x, t.y, t.z), (q.x, q.y, q.z, q.w))
