# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Playback time of a recording: waits until messages are due, and publishes `/clock`."""

from __future__ import annotations

import threading
import time

from rclpy.node import Node
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock

from dcfm_ros import stamps
from dcfm_ros.ros import messages
from dcfm_ros.stamps import NS_PER_S

LONGEST_GAP_NS = 3600 * stamps.NS_PER_S  # a longer gap is skipped: the clock was set, or another drive begins
_LOG_PERIOD_S = 5.0  # throttle period of repeated warnings
_TICK_NS = 10_000_000  # period of /clock between images, in recorded time; at higher speeds in real time


class BagTime:
    """Playback clock that runs `speed` times as fast as the recording; with math.inf it never waits.

    Publishes /clock if `clock` is set: at each image, and 100 times a second in between. Within a round it
    never runs back. A gap of more than LONGEST_GAP_NS is skipped, with a warning. For one thread.
    """

    def __init__(self, node: Node, speed: float, clock: bool):
        self._node, self._speed = node, speed
        self._tick_ns = round(_TICK_NS * max(1.0, speed)) if speed < float("inf") else 0
        self._clock = node.create_publisher(Clock, "/clock", QoSProfile(depth=10)) if clock else None
        self._now_ns: int | None = None  # None: at the start of a round
        self._zero_ns, self._zero_s = 0, 0.0  # corresponding recorded time and time.monotonic()
        self._begin_s = 0.0  # earliest start of the round

    def wait_until(self, log_ns: int, stop: threading.Event) -> bool:
        """Wait until this time and publish it on /clock; returns False if `stop` was set first."""
        now_ns, is_cut = self._now_ns, False
        if now_ns is not None and self._tick_ns > 0 and log_ns - now_ns > LONGEST_GAP_NS:
            is_cut = True
            self._node.get_logger().warning(
                f"the recording has nothing to play for {(log_ns - now_ns) / LONGEST_GAP_NS:.1f} hours, from "
                f"log time {now_ns} to {log_ns} ns: not waited for",
                throttle_duration_sec=_LOG_PERIOD_S,
            )
        if is_cut or self._now_ns is None:
            self._now_ns = self._zero_ns = log_ns
            self._zero_s = max(time.monotonic(), self._begin_s)
        while self._clock and self._tick_ns and self._now_ns + self._tick_ns < log_ns:
            if not self._advance_to(self._now_ns + self._tick_ns, stop):
                return False
        return self._advance_to(max(log_ns, self._now_ns), stop)

    def end_round(self, gap_ns: float) -> None:
        """End the round: the next call of `wait_until` starts a new one, `gap_ns` after the last time of this
        one."""
        if self._now_ns is None:  # nothing was played
            return
        self._begin_s = self._due_s(self._now_ns) + gap_ns / NS_PER_S / self._speed
        self._now_ns = None

    def _advance_to(self, log_ns: int, stop: threading.Event) -> bool:
        if stop.wait(max(0.0, self._due_s(log_ns) - time.monotonic())):
            return False
        self._now_ns = log_ns
        if self._clock:
            self._clock.publish(Clock(clock=messages.time_message(log_ns)))
        return True

    def _due_s(self, log_ns: int) -> float:
        return self._zero_s + (log_ns - self._zero_ns) / NS_PER_S / self._speed
