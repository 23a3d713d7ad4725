# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Waiting for the mask of the image that was sent last."""

from __future__ import annotations

import threading
import time
from collections import Counter

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from sensor_msgs.msg import Image

from dcfm_ros.ros.diagnostics import REPORTS_THAT_COUNT

_QUEUE = 10


class LockStep:
    """Of one camera; make it before the publisher of its images, so that who sees that one has seen this.

    An image for which no mask will come is told by the segmenter's diagnostics: that nothing is under way,
    neither in the next report after its sending nor in the one after. So a corrupt image, or one that DDS
    lost, costs two seconds; without such diagnostics it costs `timeout_s`.
    `expect` and `wait` are for one thread, messages arrive on the executor's.
    """

    def __init__(self, node: Node, image_topic: str, mask_topic: str, timeout_s: float):
        self._node, self._timeout_s = node, timeout_s
        self._image_topic = node.resolve_topic_name(image_topic)
        self.mask_topic = node.resolve_topic_name(mask_topic)
        self._lock = threading.Lock()
        self._stamp: Time | None = None
        self._settled, self._masked = threading.Event(), False
        self._idle: Counter[str] = Counter()  # reports of a node in a row that nothing is under way
        node.create_subscription(Image, self.mask_topic, self._mask, _QUEUE)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._diagnostics, _QUEUE)

    def has_segmenter(self) -> bool:
        """Does anyone publish the masks?"""
        return self._node.count_publishers(self.mask_topic) > 0

    def expect(self, stamp: Time) -> None:
        """An image with this stamp is about to be sent."""
        with self._lock:
            self._stamp, self._masked = stamp, False
            self._idle.clear()
            self._settled.clear()

    def wait(self, stop: threading.Event) -> str:
        """Until the mask is there; otherwise why it is not, in words. Empty as well where `stop` was set."""
        deadline = time.monotonic() + self._timeout_s
        while not self._settled.wait(0.1) and time.monotonic() < deadline:  # bounds the wait for `stop`
            if stop.is_set():
                return ""
        with self._lock:
            self._stamp = None
            if self._masked:
                return ""
            if self._settled.is_set():
                return "the segmenter has none under way: it could not use the image, or did not get it"
        return (
            f"none on {self.mask_topic} within {self._timeout_s:g} s: is the segmenter active, and in mode "
            f"sync or "
            "async? See its log and /diagnostics"
        )

    def _mask(self, message: Image) -> None:
        with self._lock:
            if message.header.stamp == self._stamp:
                self._masked = True
                self._settled.set()

    def _diagnostics(self, message: DiagnosticArray) -> None:
        with self._lock:
            for status in message.status:
                if self._stamp is not None and status.hardware_id == self._image_topic:
                    self._idle[status.name] = self._idle[status.name] + 1 if _under_way(status) == 0 else 0
            if self._idle and min(self._idle.values()) >= REPORTS_THAT_COUNT:
                self._settled.set()


def _under_way(status: DiagnosticStatus) -> int | None:
    """Images of a camera that the segmenter has received, and that may still bring masks; None where it does
    not say."""
    counts = {item.key: int(item.value) for item in status.values if item.value.isdecimal()}
    if not {"received", "masks", "dropped", "failures"} <= counts.keys():
        return None
    refused = sum(count for key, count in counts.items() if key.startswith("refused_"))
    ended = sum(counts.get(name, 0) for name in ("masks", "dropped", "failures", "unheard", "over_rate"))
    return counts["received"] - ended - refused
