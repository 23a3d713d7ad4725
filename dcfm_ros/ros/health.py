# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Health reporter: publishes the segmenter's `/diagnostics` once a second in every lifecycle state, and logs
persistent trouble."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticStatus
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
from dcfm_ros.ros.diagnostics_publisher import DiagnosticsPublisher
from dcfm_ros.ros.trouble_log import TroubleLog

REPORT_S = 1.0  # period of the reports
RECENT_REPORTS = 5  # trouble within this many reports is a warning: 5 s, the same window as of the rates


@dataclass(frozen=True)
class CameraHealth:
    """Health of one camera. status: None if the node is not configured"""

    camera: str
    topic: TopicState
    status: CameraStatus | None = None


@dataclass(frozen=True)
class Health:
    """Snapshot of the node's health. backend: from `backends.base.status_of`, None if the node is not
    configured"""

    node: NodeState
    device: str
    backend: dict[str, str] | None = None
    cameras: list[CameraHealth] = field(default_factory=list)


class HealthReporter(DiagnosticsPublisher):
    """Publishes the health that `look()` returns. For the executor's thread."""

    def __init__(self, node: Node, look: Callable[[], Health]):
        super().__init__(node, self._report, REPORT_S)
        self._look = look
        self._troubles: dict[str, deque[Trouble]] = {}  # by camera, one entry per recent report
        self._log = TroubleLog(node, RECENT_REPORTS)

    def _report(self) -> list[DiagnosticStatus]:
        health = self._look()
        statuses = [backend_diagnostic(health.node, health.device, health.backend)]
        for camera in health.cameras:
            status = camera_diagnostic(
                camera.camera, health.node, camera.topic, camera.status, self._recent(camera)
            )
            statuses.append(status)
            is_trouble = health.node.state == "active" and status.level != DiagnosticStatus.OK
            self._log.note(camera.camera, is_trouble, status.message)
        return statuses

    def _recent(self, camera: CameraHealth) -> Trouble:
        trouble = trouble_of(camera.status, camera.topic)
        troubles = self._troubles.setdefault(camera.camera, deque(maxlen=RECENT_REPORTS + 1))
        if troubles and any(
            now < before for now, before in zip(trouble, troubles[-1])
        ):  # counters restart at 0 when the node is configured again
            troubles.clear()
        troubles.append(trouble)
        return Trouble(*(now - before for now, before in zip(trouble, troubles[0])))
