# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A segmenter node for `test_staying_up`: it lives through some lives, counts what the process holds, and
then encodes slowly.

Usage: slow_segmenter.py LIVES BACKEND MODE MODEL TOPIC. After each life a line of JSON; then `ready`, and
`encoding` when an encode has begun, which takes SLOW_S in many slices.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path

from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from ros_helpers import DEADLINE_S, DEFAULTS
from sensor_msgs.msg import Image

from dcfm_ros import stamps
from dcfm_ros.pipeline import segmenter
from dcfm_ros.pipeline.backends import make_backend
from dcfm_ros.ros import process, segmenter_node

SLOW_S = 20.0
_SLICE_S = 0.02
_PERIOD_S = 0.05
_WIDTH, _HEIGHT = 96, 64
_NODE = "staying"
_slow = threading.Event()


class SlowBackend:
    """A backend whose encodes take SLOW_S, in slices, once `_slow` is set."""

    def __init__(self, backend):
        self._backend = backend

    def __getattr__(self, name):
        return getattr(self._backend, name)

    def deep(self, shallow, between_slices=None):
        if between_slices is None:  # a warm-up
            return self._backend.deep(shallow)
        if _slow.is_set():
            print("encoding", flush=True)
            until = time.monotonic() + SLOW_S
            while time.monotonic() < until:
                between_slices()
                time.sleep(_SLICE_S)  # the work
        return self._backend.deep(shallow, between_slices)


class Company(Node):
    """A camera and a listener in the same process: what they hold stays the same from life to life."""

    def __init__(self, topic: str, executor: SingleThreadedExecutor):
        super().__init__("company")
        self._executor, self._newest = executor, 0
        self._images = self.create_publisher(Image, topic, qos_profile_sensor_data)
        self.create_subscription(Image, "/dcfm/mask", self._note, qos_profile_sensor_data)
        self._image = Image(width=_WIDTH, height=_HEIGHT, encoding="bgr8", step=3 * _WIDTH)
        self._image.data.frombytes(bytes(range(_WIDTH)) * 3 * _HEIGHT)
        executor.add_node(self)

    def see_a_mask(self) -> None:
        """Send images, at a camera's rate, until the mask of one of them is there."""
        first = self._send()
        due, deadline = time.monotonic() + _PERIOD_S, time.monotonic() + DEADLINE_S
        while self._newest < first:
            assert time.monotonic() < deadline, "no mask came"
            self._executor.spin_once(timeout_sec=_PERIOD_S)
            if time.monotonic() > due:  # images sent before the subscription is known are lost
                self._send()
                due = time.monotonic() + _PERIOD_S

    def _send(self) -> int:
        """The stamp, in ns."""
        stamp = self.get_clock().now()
        self._image.header.stamp = stamp.to_msg()
        self._images.publish(self._image)
        return stamp.nanoseconds

    def held(self) -> dict:
        """Return the open files of the process."""
        topics = [name for name, _ in self.get_topic_names_and_types()]

        def own(endpoints) -> int:
            """Others in the domain come and go."""
            return sum(
                end.node_name in (_NODE, self.get_name()) for topic in topics for end in endpoints(topic)
            )

        return {
            "threads": len(os.listdir("/proc/self/task")),
            "python_threads": threading.active_count(),
            "descriptors": len(os.listdir("/proc/self/fd")),
            "publishers": own(self.get_publishers_info_by_topic),
            "subscriptions": own(self.get_subscriptions_info_by_topic),
            "rss_mb": int(Path("/proc/self/statm").read_text().split()[1])
            * os.sysconf("SC_PAGE_SIZE")
            / 2**20,
        }

    def _note(self, mask: Image) -> None:
        self._newest = stamps.stamp_ns(mask.header.stamp)


def live(node: segmenter_node.SegmenterNode, lives: int, topic: str) -> None:
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    company = Company(topic, executor)
    for _ in range(lives):
        company.see_a_mask()
        print(json.dumps(company.held()), flush=True)
        for change in (
            node.trigger_deactivate,
            node.trigger_cleanup,
            node.trigger_configure,
            node.trigger_activate,
        ):
            assert change() == segmenter_node.TransitionCallbackReturn.SUCCESS, change
    company.destroy_node()
    executor.remove_node(node)
    executor.shutdown()


def main(lives: int, backend: str, mode: str, model: str, topic: str) -> int:
    segmenter.make_backend = lambda *arguments, **options: SlowBackend(make_backend(*arguments, **options))
    spin = process.spin_until

    def spin_until(node, *stops):
        live(node, lives, topic)
        _slow.set()
        print("ready", flush=True)
        spin(node, *stops)

    process.spin_until = spin_until
    values = {**DEFAULTS, "backend": backend, "mode": mode, "model": model, "image_topic": topic}
    return segmenter_node.main(
        [
            "--ros-args",
            "-r",
            f"__node:={_NODE}",
            *(
                part
                for name, value in values.items()
                if value not in ("", [""])
                for part in ("-p", f"{name}:={value}")
            ),
        ]
    )


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]), *sys.argv[2:]))
