# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The time of a recording that is played: when what is due, and `/clock`."""

from __future__ import annotations

import threading
import time

from rclpy.node import Node
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock

from dcfm_ros import stamps
from dcfm_ros.ros import messages

LONGEST_GAP_NS = (
    3600 * stamps.NS_PER_S
)  # that is waited for; after it a clock was set, or another drive begins
_LOG_PERIOD_S = 5.0  # of warnings that repeat
_TICK_NS = 10_000_000  # of /clock between images, in time of the recording; at higher speeds in real time


class BagTime:
    """Runs `speed` times as fast as the recording did; with math.inf from image to image without waiting.

    Publishes /clock where `clock` is set: at each image, and between them 100 times a second. Within a round
    it never runs back. A gap of more than LONGEST_GAP_NS is not waited for: its end comes at once, which is
    told. For one thread.
    """

    def __init__(self, node: Node, speed: float, clock: bool):
        self._node, self._speed = node, speed
        self._tick_ns = round(_TICK_NS * max(1.0, speed)) if speed < float("inf") else 0
        self._clock = node.create_publisher(Clock, "/clock", QoSProfile(depth=10)) if clock else None
        self._now_ns: int | None = None  # None: a round begins
        self._zero_ns, self._zero_s = 0, 0.0  # this time of the recording is at this time.monotonic()
        self._begin_s = 0.0  # when the round may begin

    def reach(self, log_ns: int, stop: threading.Event) -> bool:
        """Wait until this time has come, which is told by /clock; False where `stop` was set first."""
        is_cut = self._now_ns is not None and self._tick_ns > 0 and log_ns - self._now_ns > LONGEST_GAP_NS
        if is_cut:
            self._node.get_logger().warning(
                f"the recording has nothing to play for {(log_ns - self._now_ns) / LONGEST_GAP_NS:.1f} "
                f"hours, from log time "
                f"{self._now_ns} to {log_ns} ns: not waited for",
                throttle_duration_sec=_LOG_PERIOD_S,
            )
        if is_cut or self._now_ns is None:
            self._now_ns = self._zero_ns = log_ns
            self._zero_s = max(time.monotonic(), self._begin_s)
        while self._clock and self._tick_ns and self._now_ns + self._tick_ns < log_ns:
            if not self._go_to(self._now_ns + self._tick_ns, stop):
                return False
        return self._go_to(max(log_ns, self._now_ns), stop)

    def end_round(self, gap_ns: float) -> None:
        """The next time that is to be reached is the first of a new round, `gap_ns` after the last of this
        one."""
        self._begin_s = self._due_s(self._now_ns) + gap_ns / 1e9 / self._speed
        self._now_ns = None

    def _go_to(self, log_ns: int, stop: threading.Event) -> bool:
        if stop.wait(max(0.0, self._due_s(log_ns) - time.monotonic())):
            return False
        self._now_ns = log_ns
        if self._clock:
            self._clock.publish(Clock(clock=messages.time_message(log_ns)))
        return True

    def _due_s(self, log_ns: int) -> float:
        return self._zero_s + (log_ns - self._zero_ns) / 1e9 / self._speed
