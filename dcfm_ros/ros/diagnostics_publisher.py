# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Publishes a node's statuses on `/diagnostics`, for the segmenter, `points` and `viewer` alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node


class DiagnosticsPublisher:
    """Publishes what `statuses()` returns, every `period_s`. For the executor's thread."""

    def __init__(self, node: Node, statuses: Callable[[], Sequence[DiagnosticStatus]], period_s: float = 1.0):
        self._node, self._statuses = node, statuses
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        # In real time: a simulation that stands still is among what diagnostics are there to tell.
        node.create_timer(period_s, self.publish, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def publish(self) -> None:
        message = DiagnosticArray(status=list(self._statuses()))
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(message)


def key_values(values: Mapping[str, object]) -> list[KeyValue]:
    """The values of a status, as text."""
    return [KeyValue(key=key, value=str(value)) for key, value in values.items()]
