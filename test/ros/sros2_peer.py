# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Hears or says images, in a process and an enclave of its own:
`sros2_peer.py hear|say TOPIC COUNT [--ros-args …]`.

`hear` prints the frame ids of COUNT images in one line, `say` goes on until its standard input ends. What is
not allowed is printed as "refused: …".
"""

import array
import sys
import threading
from collections import Counter

import rclpy
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image

FRAME_ID = "intruder"  # also in test_sros2.py


def hear(node, topic: str, count: int) -> None:
    heard = []
    node.create_subscription(
        Image, topic, lambda message: heard.append(message.header.frame_id), qos_profile_sensor_data
    )
    print("ready", flush=True)
    while len(heard) < count and not ended.is_set():
        rclpy.spin_once(node, timeout_sec=0.1)
    print("heard", dict(Counter(heard)), flush=True)


def say(node, topic: str, count: int) -> None:
    publisher = node.create_publisher(Image, topic, 10)
    image = Image(height=64, width=96, step=288, encoding="bgr8", data=array.array("B", bytes(64 * 288)))
    image.header.frame_id = FRAME_ID
    print("ready", flush=True)
    said = 0
    while not ended.wait(0.05):
        image.header.stamp = node.get_clock().now().to_msg()
        publisher.publish(image)
        said += 1
    print("said", said, "to", publisher.get_subscription_count(), flush=True)


if __name__ == "__main__":
    what, where, number = sys.argv[1:4]
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    try:
        rclpy.init(args=sys.argv[4:])
        own = rclpy.create_node("peer", use_global_arguments=True)
        {"hear": hear, "say": say}[what](own, where, int(number))
    except Exception as error:  # of rcl, which has no kind of its own for this
        print("refused:", error, flush=True)
