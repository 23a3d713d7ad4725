# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The cameras of a segmenter, read from its parameters over services, whatever file, launch file or command
line has set them."""

from __future__ import annotations

import time
from collections.abc import Callable

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.parameter import parameter_value_to_python
from rclpy.parameter_client import AsyncParameterClient
from rclpy.task import Future

from dcfm_ros.ros import camera_parameters
from dcfm_ros.ros.camera_parameters import CameraParameters

_LOG_PERIOD_S = 5.0
_PERIOD_S = 0.5  # polling period
_ANSWER_S = 2.0  # after which a request is repeated: a server's first response to a new client can get lost


class SegmenterCameras:
    """Calls `found(cameras)` once, when the segmenter has answered. For the executor's thread.

    segmenter: its name, relative to the node's namespace. Its relative image topics are resolved as for a
        node in the same namespace as this one
    """

    def __init__(self, node: Node, segmenter: str, found: Callable[[list[CameraParameters]], None]):
        self._node, self._segmenter, self._found = node, segmenter, found
        self._values: dict[str, object] = {}
        self._asked: tuple[Future, list[str], float] | None = None  # with names and time of the request
        self._client = AsyncParameterClient(node, segmenter)
        self._timer = node.create_timer(_PERIOD_S, self._poll, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _poll(self) -> None:
        if self._asked is not None and self._asked[0].done():
            future, names, _ = self._asked
            self._asked = None
            self._take(names, future.result().values)
        elif not self._client.services_are_ready():
            self._node.get_logger().info(
                f"waiting for the segmenter {self._segmenter} in namespace {self._node.get_namespace()}",
                throttle_duration_sec=_LOG_PERIOD_S,
            )
        elif self._asked is None or time.monotonic() - self._asked[2] > _ANSWER_S:
            self._ask(["cameras"] if not self._values else self._missing())

    def _ask(self, names: list[str]) -> None:
        self._asked = (self._client.get_parameters(names), names, time.monotonic())

    def _take(self, names: list[str], values: list) -> None:
        try:
            if len(values) != len(names):
                raise ValueError(
                    f"it has no parameters {', '.join(names)}, as a segmenter of this package has"
                )
            self._values.update(zip(names, map(parameter_value_to_python, values)))
            if missing := self._missing():
                self._ask(missing)
                return
            cameras = camera_parameters.read_cameras(self._node, self._values.get)
        except ValueError as error:  # the segmenter reports it, too; it may be corrected
            self._node.get_logger().warning(
                f"the segmenter's cameras: {error}", throttle_duration_sec=_LOG_PERIOD_S
            )
            self._values.clear()
            return
        self._node.destroy_timer(self._timer)
        self._found(cameras)

    def _missing(self) -> list[str]:
        """Return the parameters that are still to be requested. Raises ValueError for invalid camera
        names."""
        names = camera_parameters.camera_names(self._values["cameras"])
        return [name for name in camera_parameters.camera_parameters(names) if name not in self._values]
