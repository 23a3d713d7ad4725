# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the node `points` says of itself on `/diagnostics`, once a second: counts, and in words what is
wrong."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

_RECENT = 5  # reports, and so seconds, that are looked back upon
_START = 2  # reports after the first subscriber has come, for which nothing need have come yet
_OK, _WARN, _ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


@dataclass(frozen=True)
class Input:
    """A topic that is needed. count: the counter of its messages; what: who publishes it, in words."""

    topic: str
    type: str  # as sensor_msgs/msg/Image
    count: str
    remedy: str  # what to do where nobody publishes it


@dataclass(frozen=True)
class PointsState:
    """A moment of the node. last_error: of the last input that was refused; apart_ns: between the stamps of
    the last geometry that found no mask and of the nearest mask, None where there was none."""

    topic: str
    is_wanted: bool
    counts: Counter[str]
    last_error: str
    apart_ns: int | None
    is_exact: bool


class PointsHealth:
    """Publishes what `look()` sees. For the executor's thread."""

    def __init__(self, node: Node, inputs: list[Input], look: Callable[[], PointsState]):
        self._node, self._inputs, self._look = node, inputs, look
        self._before: deque[Counter[str]] = deque([Counter()], maxlen=_RECENT)  # one of each report
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        node.create_timer(1.0, self.publish, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def publish(self) -> None:
        state = self._look()
        recent = Counter({name: count - self._before[0][name] for name, count in state.counts.items()})
        level, text = self._verdict(state, recent, len(self._before))
        if not state.is_wanted:  # the rates of what comes next begin here
            self._before.clear()
        self._before.append(Counter(state.counts))
        status = DiagnosticStatus(
            level=level,
            name=self._node.get_fully_qualified_name(),
            message=text,
            hardware_id=state.topic,
            values=[KeyValue(key=name, value=str(count)) for name, count in sorted(state.counts.items())]
            + [KeyValue(key="last_error", value=state.last_error)],
        )
        message = DiagnosticArray(status=[status])
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(message)

    def _verdict(self, state: PointsState, recent: Counter[str], seconds: int) -> tuple[bytes, str]:
        if not state.is_wanted:
            return _OK, f"nobody subscribes to {state.topic}: nothing is computed"
        text = f"{recent['published'] / seconds:.1f} clouds/s"
        if refused := sum(count for name, count in recent.items() if name.startswith("refused_")):
            return (
                (_WARN, f"{text}, {refused} refused; the last error: {state.last_error}")
                if recent["published"]
                else (_ERROR, f"refused: {state.last_error}")
            )
        if recent["published"]:
            return _OK, text
        if seconds < _START:
            return _OK, "starting"
        for needed in self._inputs:
            if not recent[needed.count] and (silence := self._silence(needed)):
                return _WARN, silence
        if recent["without_mask"]:
            return _WARN, f"no mask for what comes on {self._inputs[-1].topic}: {_missed(state)}"
        return _WARN, f"{text}: geometry waits for its mask"

    def _silence(self, needed: Input) -> str:
        """Why nothing comes."""
        types = {publisher.topic_type for publisher in self._node.get_publishers_info_by_topic(needed.topic)}
        if not types:
            return f"no publisher on {needed.topic}: {needed.remedy}"
        if needed.type not in types:
            return f"{needed.topic} is published as {min(types)}, not as {needed.type}: {needed.remedy}"
        return (
            f"nothing comes on {needed.topic}, though somebody publishes: is it active? Large messages may "
            f"get lost "
            "(docs/live.md)"
        )


def _missed(state: PointsState) -> str:
    if state.apart_ns is None:
        return "no mask at all has come; is the segmenter active?"
    apart = f"the nearest stamp differs by {state.apart_ns / 1e9:.4g} s"
    remedy = (
        "set sync to nearest, or let the camera give both one stamp" if state.is_exact else "raise slop_s"
    )
    return f"{apart}; {remedy}"
