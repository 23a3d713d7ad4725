# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Lock-step playback: waits for the mask of the image that was published last."""

from __future__ import annotations

import threading
import time
from collections import Counter

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from sensor_msgs.msg import Image

from dcfm_ros.pipeline.telemetry import ENDS
from dcfm_ros.ros.diagnostics import REPORTS_THAT_COUNT

_QUEUE = 10


class LockStep:
    """Lock-step of one camera. Create it before the publisher of the camera's images, so that nodes that
    discover the publisher have discovered this subscription.

    An image that will get no mask is recognised by the segmenter's diagnostics: two consecutive reports after
    its publishing say that no image is in progress. So a corrupt image, or one that DDS lost, costs two
    seconds; without such diagnostics it costs `timeout_s`.
    `expect` and `wait` are for one thread, messages arrive on the executor's.
    """

    def __init__(self, node: Node, image_topic: str, mask_topic: str, timeout_s: float):
        self._node, self._timeout_s = node, timeout_s
        self._image_topic = node.resolve_topic_name(image_topic)
        self.mask_topic = node.resolve_topic_name(mask_topic)
        self._lock = threading.Lock()
        self._stamp: Time | None = None
        self._settled, self._masked = threading.Event(), False
        self._idle: Counter[str] = Counter()  # consecutive reports of a node without an image in progress
        node.create_subscription(Image, self.mask_topic, self._mask, _QUEUE)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._diagnostics, _QUEUE)

    def has_segmenter(self) -> bool:
        """Return whether any node publishes the masks."""
        return self._node.count_publishers(self.mask_topic) > 0

    def expect(self, stamp: Time) -> None:
        """Prepare for the mask of an image with this stamp, which is about to be published."""
        with self._lock:
            self._stamp, self._masked = stamp, False
            self._idle.clear()
            self._settled.clear()

    def wait(self, stop: threading.Event) -> str:
        """Wait for the mask. Returns "" when it has arrived or `stop` is set, otherwise the reason why there
        is none."""
        deadline = time.monotonic() + self._timeout_s
        while not self._settled.wait(0.1) and time.monotonic() < deadline:  # short waits, to react to `stop`
            if stop.is_set():
                return ""
        with self._lock:
            self._stamp = None
            if self._masked:
                return ""
            if self._settled.is_set():
                return "the segmenter has no image in progress: this one was unusable, or was not received"
        return (
            f"none on {self.mask_topic} within {self._timeout_s:g} s: is the segmenter active, and in mode "
            "sync or async? See its log and /diagnostics"
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
    ended = sum(counts.get(name, 0) for name in ENDS)
    return counts["received"] - ended - refused
