"""The segmenter's part of `/diagnostics`: the same statuses once a second, in every lifecycle state."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from dcfm_ros.pipeline.camera import CameraStatus
from dcfm_ros.ros.diagnostics import NodeState, TopicState, backend_diagnostic, camera_diagnostic

_RECENT = 5   # reports, and so seconds, for which a loss is a warning; as long as the rates look back


@dataclass(frozen=True)
class CameraHealth:
    """Of one camera. status: None where the node is not configured."""

    camera: str
    topic: TopicState
    status: CameraStatus | None = None


@dataclass(frozen=True)
class Health:
    """A moment of the whole node. backend: of `backends.base.status_of`, None where the node is not configured."""

    node: NodeState
    device: str
    backend: dict[str, str] | None = None
    cameras: list[CameraHealth] = field(default_factory=list)


class HealthReporter:
    """Publishes what `look()` sees. For the executor's thread."""

    def __init__(self, node: Node, look: Callable[[], Health]):
        self._node, self._look = node, look
        self._losses: dict[str, deque[tuple[int, int]]] = {}   # of each camera: dropped and lost images so far, by report
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        # In real time: a simulation that stands still is among what diagnostics are there to tell.
        node.create_timer(1.0, self.publish, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def publish(self) -> None:
        health = self._look()
        message = DiagnosticArray(status=[backend_diagnostic(health.node, health.device, health.backend)])
        message.header.stamp = self._node.get_clock().now().to_msg()
        for camera in health.cameras:
            message.status.append(camera_diagnostic(
                camera.camera, health.node, self._with_recent_losses(camera), camera.status))
        self._publisher.publish(message)

    def _with_recent_losses(self, camera: CameraHealth) -> TopicState:
        counts = (camera.status.dropped if camera.status else 0, camera.topic.lost)
        losses = self._losses.setdefault(camera.camera, deque(maxlen=_RECENT + 1))
        if losses and counts < losses[-1]:   # a new life of the node counts from 0
            losses.clear()
        losses.append(counts)
        dropped, lost = (now - before for now, before in zip(losses[-1], losses[0]))
        return replace(camera.topic, dropped_recently=dropped, lost_recently=lost)
