"""The node `camera`: publishes any source as a camera would, at its rate, with true stamps."""

from __future__ import annotations

import json
import threading
import time

import cv2
import rclpy
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from dcfm_ros.ros import messages, process
from dcfm_ros.sources.open import open_source

_ENCODINGS = ("rgb8", "bgr8", "mono8", "jpeg", "png")


class CameraNode(Node):
    """Messages are made ahead of time where `preload` is set, so that making them takes no time from what is measured.

    `sent_log` names a file for one JSON line per published image: its index in the source, its stamp, and the
    monotonic time of publishing.
    """

    def __init__(self, **node_options):
        super().__init__("camera", **node_options)
        text = lambda s: ParameterDescriptor(description=s, read_only=True)  # noqa: E731
        declare = self.declare_parameter
        source = declare("source", "synthetic", text("synthetic[:SEED], a folder of images, or a video file.")).value
        width = declare("width", 0, text("Image width; 0 keeps the source's.")).value
        height = declare("height", 0, text("Image height; 0 keeps the source's.")).value
        rate_hz = declare("rate", 15.0, ParameterDescriptor(
            description="Images per second.", read_only=True,
            floating_point_range=[FloatingPointRange(from_value=0.1, to_value=1000.0)])).value
        self._loop = declare("loop", True, text("Begin again at the end; otherwise stop there.")).value
        self._returns = declare("to_and_fro", False, text("Go back from the end frame by frame, without a cut.")).value
        frames = declare("frames", 0, ParameterDescriptor(
            description="Images before the end; 0: all of the source (an endless one has 300).", read_only=True,
            integer_range=[IntegerRange(from_value=0, to_value=10_000_000, step=1)])).value
        self._encoding = declare("encoding", "bgr8", text(f"One of {', '.join(_ENCODINGS)}; the last two are compressed.")).value
        topic = declare("image_topic", "/camera/image_raw", text("Where to publish.")).value
        reliable = declare("reliable", False, text("Reliable instead of best effort.")).value
        self._preload = declare("preload", False, text("Make all images before the first is sent.")).value
        self._wait = declare("wait_for_subscribers", 0, text("Begin when so many listen.")).value
        self._frame_id = declare("frame_id", "camera", text("frame_id of the headers.")).value
        log = declare("sent_log", "", text("File for a JSON line per image; empty: none.")).value
        if self._encoding not in _ENCODINGS:
            raise ValueError(f"encoding {self._encoding!r}: use one of {', '.join(_ENCODINGS)}")
        self._source = open_source(source, rate_hz=rate_hz, width=width or None, height=height or None)
        self._count = frames or self._source.length or 300
        self._period_s = 1.0 / rate_hz
        self._log = open(log, "w", buffering=1) if log else None
        kind = CompressedImage if self._encoding in ("jpeg", "png") else Image
        if kind is CompressedImage and not topic.endswith("/compressed"):
            topic += "/compressed"
        self._publisher = self.create_publisher(kind, topic, QoSProfile(
            depth=2, history=HistoryPolicy.KEEP_LAST,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT))
        self.finished = threading.Event()
        self.failed = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dcfm-camera", daemon=True)
        self.get_logger().info(f"{source}: {self._count} images at {rate_hz:g} Hz as {self._encoding} on {topic}")
        self._thread.start()

    def destroy_node(self) -> None:
        self._stop.set()
        self._thread.join()
        if self._log:
            self._log.close()
        super().destroy_node()

    def _run(self) -> None:
        try:
            made = [self._image(index) for index in range(self._count) if not self._stop.is_set()] if self._preload else []
            while self._publisher.get_subscription_count() < self._wait and not self._stop.wait(0.05):
                pass
            self._stop.wait(0.5 if self._wait else 0.0)  # discovery reports the match before both ends can use it
            due = time.monotonic()
            sent = 0
            while not self._stop.is_set() and (self._loop or sent < self._count):
                index = self._index(sent)
                message = made[index] if self._preload else self._image(index)
                if self._stop.wait(max(0.0, due - time.monotonic())):
                    break
                self._send(index, message)
                sent += 1
                due = max(due + self._period_s, time.monotonic() - self._period_s)  # late by more: do not catch up
        except Exception as error:
            self.failed = True
            self.get_logger().error(f"camera stopped: {error}")
        finally:
            self.finished.set()

    def _index(self, sent: int) -> int:
        """Of the source's frame that follows the first `sent` ones."""
        if not self._returns or self._count == 1:
            return sent % self._count
        step = sent % (2 * self._count - 2)  # there and back; the ends come once
        return min(step, 2 * self._count - 2 - step)

    def _image(self, index: int) -> Image | CompressedImage:
        """A frame as it will be sent, but for its stamp."""
        image = self._source.frame(index).image
        if self._encoding == "mono8":
            image = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        elif self._encoding == "bgr8":
            image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        return messages.camera_message(Header(frame_id=self._frame_id), image, self._encoding)

    def _send(self, index: int, message: Image | CompressedImage) -> None:
        stamp = self.get_clock().now()
        message.header.stamp = stamp.to_msg()
        published_ns = time.monotonic_ns()
        self._publisher.publish(message)
        if self._log:
            self._log.write(json.dumps({"index": index, "stamp_ns": stamp.nanoseconds, "published_ns": published_ns}) + "\n")


def main(arguments: list[str] | None = None) -> int:
    process.start(arguments)
    stop = process.stop_on_signal()
    node = process.create(CameraNode)
    try:
        process.spin_until(node, stop, node.finished)
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    return 1 if node.failed else 0
