# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The segmenter's part of `/diagnostics`: the same statuses once a second, in every lifecycle state. What
stays wrong is logged."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from dcfm_ros.pipeline.telemetry import CameraStatus
from dcfm_ros.ros.diagnostics import (
    NodeState,
    TopicState,
    Trouble,
    backend_diagnostic,
    camera_diagnostic,
    trouble_of,
)

_RECENT = 5  # reports, and so seconds, for which trouble is a warning; as long as the rates look back


@dataclass(frozen=True)
class CameraHealth:
    """Of one camera. status: None where the node is not configured."""

    camera: str
    topic: TopicState
    status: CameraStatus | None = None


@dataclass(frozen=True)
class Health:
    """A moment of the whole node. backend: of `backends.base.status_of`, None where the node is not
    configured."""

    node: NodeState
    device: str
    backend: dict[str, str] | None = None
    cameras: list[CameraHealth] = field(default_factory=list)


class HealthReporter:
    """Publishes what `look()` sees. For the executor's thread."""

    def __init__(self, node: Node, look: Callable[[], Health]):
        self._node, self._look = node, look
        self._troubles: dict[str, deque[Trouble]] = {}  # of each camera so far, by report
        self._wrong: Counter[str] = (
            Counter()
        )  # for how many reports in a row something is wrong with a camera
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        # In real time: a simulation that stands still is among what diagnostics are there to tell.
        node.create_timer(1.0, self.publish, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def publish(self) -> None:
        health = self._look()
        message = DiagnosticArray(status=[backend_diagnostic(health.node, health.device, health.backend)])
        message.header.stamp = self._node.get_clock().now().to_msg()
        for camera in health.cameras:
            status = camera_diagnostic(
                camera.camera, health.node, camera.topic, camera.status, self._recent(camera)
            )
            message.status.append(status)
            self._log(
                camera.camera, health.node.state == "active" and status.level != DiagnosticStatus.OK, status
            )
        self._publisher.publish(message)

    def _log(self, camera: str, is_trouble: bool, status: DiagnosticStatus) -> None:
        """What is wrong for some reports is on the screen, too, once; and that it is over."""
        log, reports = self._node.get_logger(), self._wrong[camera]
        self._wrong[camera] = reports + 1 if is_trouble else 0
        name = f"{camera}: " if camera else ""
        if reports + 1 == _RECENT and is_trouble:
            log.warning(f"{name}{status.message}")
        elif reports >= _RECENT and not is_trouble:
            log.info(f"{name}{status.message}")

    def _recent(self, camera: CameraHealth) -> Trouble:
        trouble = trouble_of(camera.status, camera.topic)
        troubles = self._troubles.setdefault(camera.camera, deque(maxlen=_RECENT + 1))
        if troubles and any(
            now < before for now, before in zip(trouble, troubles[-1])
        ):  # a new life of the node counts from 0
            troubles.clear()
        troubles.append(trouble)
        return Trouble(*(now - before for now, before in zip(trouble, troubles[0])))
