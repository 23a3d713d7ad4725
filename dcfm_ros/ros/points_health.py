# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Diagnostics of the node `points`, once a second: counts, and a message that says what is wrong."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node

from dcfm_ros.ros.diagnostics_publisher import DiagnosticsPublisher, key_values
from dcfm_ros.ros.trouble_log import TroubleLog
from dcfm_ros.stamps import NS_PER_S

_RECENT = 5  # window in reports, which is seconds
_START = 2  # reports after the first subscriber during which input may still be missing
_OK, _WARN, _ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


@dataclass(frozen=True)
class Input:
    """A required input topic. count: the counter of its messages"""

    topic: str
    type: str  # such as sensor_msgs/msg/Image
    count: str
    remedy: str  # if it has no publisher


@dataclass(frozen=True)
class PointsState:
    """Snapshot of the node. last_error: of the last refused input; apart_ns: difference between the stamps of
    the last geometry without a mask and of the nearest mask, None if there was none"""

    topic: str
    is_wanted: bool
    counts: Counter[str]
    last_error: str
    apart_ns: int | None
    is_exact: bool


class PointsHealth(DiagnosticsPublisher):
    """Publishes the state that `look()` returns. For the executor's thread."""

    def __init__(self, node: Node, inputs: list[Input], look: Callable[[], PointsState]):
        super().__init__(node, self._report)
        self._inputs, self._look = inputs, look
        self._log = TroubleLog(node, _RECENT)
        self._before: deque[Counter[str]] = deque([Counter()], maxlen=_RECENT)  # one of each report

    def _report(self) -> list[DiagnosticStatus]:
        state = self._look()
        recent = Counter({name: count - self._before[0][name] for name, count in state.counts.items()})
        level, text = self._verdict(state, recent, len(self._before))
        self._log.note("", level != _OK, text)
        if not state.is_wanted:  # rates start again with the next subscriber
            self._before.clear()
        self._before.append(Counter(state.counts))
        return [
            DiagnosticStatus(
                level=level,
                name=self._node.get_fully_qualified_name(),
                message=text,
                hardware_id=state.topic,
                values=key_values({**dict(sorted(state.counts.items())), "last_error": state.last_error}),
            )
        ]

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
            return _WARN, f"no mask for the messages on {self._inputs[-1].topic}: {_missed(state)}"
        return _WARN, f"{text}: geometry waits for its mask"

    def _silence(self, needed: Input) -> str:
        """Return why no messages arrive on an input."""
        types = {publisher.topic_type for publisher in self._node.get_publishers_info_by_topic(needed.topic)}
        if not types:
            return f"no publisher on {needed.topic}: {needed.remedy}"
        if needed.type not in types:
            return f"{needed.topic} is published as {min(types)}, not as {needed.type}: {needed.remedy}"
        return (
            f"no messages on {needed.topic}, although it has a publisher: is it active? Large messages may "
            "get lost (docs/live.md)"
        )


def _missed(state: PointsState) -> str:
    if state.apart_ns is None:
        return "no mask has arrived; is the segmenter active?"
    apart = f"the nearest stamp differs by {state.apart_ns / NS_PER_S:.4g} s"
    remedy = (
        "set sync to nearest, or let the camera give both one stamp" if state.is_exact else "raise slop_s"
    )
    return f"{apart}; {remedy}"
