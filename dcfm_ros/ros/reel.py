"""The camera node's frames: a source's, at a rate, with stamps of now."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import cv2
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from dcfm_ros.ros import messages
from dcfm_ros.sources.open import open_source

ENCODINGS = ("rgb8", "bgr8", "mono8", "jpeg", "png")


@dataclass(frozen=True)
class ReelOptions:
    """Of every source that is no recording."""

    source: str = "synthetic"
    image_topic: str = ""        # /camera/image_raw where empty
    loop: bool = True
    frames: int = 0              # images before the end; 0: all of the source (an endless one has 300)
    width: int = 0               # pixels; 0 keeps the source's
    height: int = 0
    rate: float = 15.0           # Hz
    to_and_fro: bool = False     # go back from the end frame by frame
    encoding: str = "bgr8"
    preload: bool = False        # make all images before the first is sent
    frame_id: str = "camera"

    def __post_init__(self):
        if self.encoding not in ENCODINGS:
            raise ValueError(f"encoding {self.encoding!r}: use one of {', '.join(ENCODINGS)}")


class Reel:
    """Messages are made ahead of time where `preload` is set, so that making them takes no time from what is measured.

    `sent(index, stamp_ns, published_ns)` is called after each image: its index in the source, its stamp, and
    time.monotonic_ns() at its publishing. `prepare` and `play` are for one thread.
    """

    def __init__(self, node: Node, options: ReelOptions, qos: QoSProfile, sent: Callable[[int, int, int], None]):
        self._node, self._options, self._sent = node, options, sent
        self._source = open_source(options.source, rate_hz=options.rate, width=options.width or None,
                                   height=options.height or None)
        self._count = options.frames or self._source.length or 300
        self._made: list[Image | CompressedImage] = []
        topic, kind = options.image_topic or "/camera/image_raw", Image
        if options.encoding in ("jpeg", "png"):
            topic, kind = f"{topic.removesuffix('/compressed')}/compressed", CompressedImage
        self._publisher = node.create_publisher(kind, topic, qos)
        self.title = f"{options.source}: {self._count} images at {options.rate:g} Hz as {options.encoding} on {topic}"

    @property
    def publishers(self) -> list[Publisher]:
        """Of the images."""
        return [self._publisher]

    def missing(self, subscribers: int) -> str:
        """Who has to be there before it may begin, in words; empty if all are."""
        heard = self._publisher.get_subscription_count() >= subscribers
        return "" if heard else f"{subscribers} subscribers of {self._publisher.topic_name}"

    def prepare(self, stop: threading.Event) -> None:
        if self._options.preload:
            self._made = [self._image(index) for index in range(self._count) if not stop.is_set()]

    def play(self, stop: threading.Event) -> None:
        """Until the end of the source or of our time."""
        period_s = 1.0 / self._options.rate
        due = time.monotonic()
        sent = 0
        while not stop.is_set() and (self._options.loop or sent < self._count):
            index = self._index(sent)
            message = self._made[index] if self._made else self._image(index)
            if stop.wait(max(0.0, due - time.monotonic())):
                break
            self._send(index, message)
            sent += 1
            due = max(due + period_s, time.monotonic() - period_s)  # late by more: do not catch up

    def close(self) -> None:
        pass

    def _index(self, sent: int) -> int:
        """Of the source's frame that follows the first `sent` ones."""
        if not self._options.to_and_fro or self._count == 1:
            return sent % self._count
        step = sent % (2 * self._count - 2)  # there and back; the ends come once
        return min(step, 2 * self._count - 2 - step)

    def _image(self, index: int) -> Image | CompressedImage:
        """A frame as it will be sent, but for its stamp."""
        image = self._source.frame(index).image
        if self._options.encoding == "mono8":
            image = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        elif self._options.encoding == "bgr8":
            image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        return messages.camera_message(Header(frame_id=self._options.frame_id), image, self._options.encoding)

    def _send(self, index: int, message: Image | CompressedImage) -> None:
        stamp = self._node.get_clock().now()
        message.header.stamp = stamp.to_msg()
        published_ns = time.monotonic_ns()
        self._publisher.publish(message)
        self._sent(index, stamp.nanoseconds, published_ns)
