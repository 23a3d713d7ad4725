# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sends or takes 1920x1080 colour images, in a process of its own: `shared_memory_peer.py send|take`."""

import array
import sys
import time

import rclpy
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image

IMAGES, TOPIC = 30, "/shared_memory/image"


def send(node) -> None:
    publisher = node.create_publisher(Image, TOPIC, qos_profile_sensor_data)
    message = Image(
        height=1080, width=1920, step=5760, encoding="bgr8", data=array.array("B", bytes(1080 * 5760))
    )
    deadline = time.monotonic() + 60.0
    while publisher.get_subscription_count() == 0 and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1.0)  # until the other side knows this one, too
    for _ in range(IMAGES):
        publisher.publish(message)
        time.sleep(0.1)


def take(node) -> None:
    taken = []
    node.create_subscription(Image, TOPIC, lambda message: taken.append(None), qos_profile_sensor_data)
    end = time.monotonic() + 60.0
    while len(taken) < IMAGES and time.monotonic() < end:
        known = node.count_publishers(TOPIC)
        rclpy.spin_once(node, timeout_sec=0.1)
        if known and not node.count_publishers(TOPIC):  # it has ended
            break
    print(f"taken: {len(taken)}")


if __name__ == "__main__":
    rclpy.init()
    own = rclpy.create_node(f"peer_{sys.argv[1]}")
    {"send": send, "take": take}[sys.argv[1]](own)
    own.destroy_node()
    rclpy.shutdown()
