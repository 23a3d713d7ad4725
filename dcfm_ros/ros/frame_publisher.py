# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frame publisher of the camera node: publishes a source's frames at a fixed rate with current stamps, each
with a camera_info."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import cv2
from rclpy.node import Node
from rclpy.publisher import Publisher
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from dcfm_ros.ros import messages
from dcfm_ros.ros.calibration import info_topic, read_calibration, uncalibrated
from dcfm_ros.ros.play_options import PlayOptions
from dcfm_ros.setting_fields import check, like, setting
from dcfm_ros.sources.open import open_source

ENCODINGS = ("rgb8", "bgr8", "mono8", "jpeg", "png")


@dataclass(frozen=True)
class FramePublisherOptions:
    """Options of all sources other than recordings."""

    source: str = like(PlayOptions, "source", "synthetic")
    image_topic: str = like(PlayOptions, "image_topic")
    loop: bool = like(PlayOptions, "loop")
    frames: int = like(PlayOptions, "frames")
    width: int = setting(0, "image width; 0 keeps the source's")
    height: int = setting(0, "image height; 0 keeps the source's")
    rate: float = setting(15.0, "images per second", low=0.1, high=1000)
    to_and_fro: bool = setting(False, "go back from the end frame by frame, without a cut")
    encoding: str = setting("bgr8", "encoding of the images; jpeg and png are compressed", choices=ENCODINGS)
    preload: bool = setting(False, "make all images before the first is sent")
    frame_id: str = setting("camera_optical_frame", "frame of the headers; an optical frame (REP 103)")
    camera_info_url: str = setting(
        "", "calibration for camera_info: a YAML file's path or file:// URL; empty: uncalibrated"
    )

    def __post_init__(self):
        check(self)


class _FrameMessages(NamedTuple):
    """The messages of a frame, without their stamp."""

    image: Image | CompressedImage
    info: CameraInfo


class FramePublisher:
    """Publishes the frames of a source. With `preload` all messages are created in advance, so that creating
    them does not disturb measurements.

    `sent(index, stamp_ns, published_ns)` is called after each image: its index in the source, its stamp, and
    time.monotonic_ns() of its publishing. `prepare` and `play` are for one thread.
    """

    def __init__(
        self,
        node: Node,
        options: FramePublisherOptions,
        advertise: Callable[[type, str], Publisher],
        sent: Callable[[int, int, int], None],
    ):
        self._node, self._options, self._sent = node, options, sent
        self._source = open_source(
            options.source,
            rate_hz=options.rate,
            width=options.width or None,
            height=options.height or None,
            length=options.frames or None,
        )
        self._count = self._source.length or 300
        self._calibration = read_calibration(options.camera_info_url) if options.camera_info_url else None
        # refuses a calibration of another size immediately
        self._info(self._source.width, self._source.height)
        self._preloaded: list[_FrameMessages] = []
        topic, kind = options.image_topic or "camera/image_raw", Image
        if options.encoding in ("jpeg", "png"):
            topic, kind = f"{topic.removesuffix('/compressed')}/compressed", CompressedImage
        self._publisher = advertise(kind, topic)
        self._info_publisher = advertise(CameraInfo, info_topic(self._publisher.topic_name))
        self.title = (
            f"{options.source}: {self._count} images at {options.rate:g} Hz as {options.encoding} on "
            f"{self._publisher.topic_name}"
        )

    @property
    def publishers(self) -> list[Publisher]:
        """The publishers of images and camera_info."""
        return [self._publisher, self._info_publisher]

    def missing(self, subscribers: int) -> str:
        """Return what is missing before playback can start, in words; empty if nothing is."""
        heard = self._publisher.get_subscription_count() >= subscribers
        return "" if heard else f"{subscribers} subscribers of {self._publisher.topic_name}"

    def prepare(self, stop: threading.Event) -> None:
        if self._options.preload:
            self._preloaded = [
                self._create_messages(index) for index in range(self._count) if not stop.is_set()
            ]

    def play(self, stop: threading.Event) -> None:
        """Publish until the end of the source or until `stop` is set."""
        period_s = 1.0 / self._options.rate
        due = time.monotonic()
        sent = 0
        while not stop.is_set() and (self._options.loop or sent < self._count):
            index = self._index(sent)
            frame = self._preloaded[index] if self._preloaded else self._create_messages(index)
            if stop.wait(max(0.0, due - time.monotonic())):
                break
            self._send(index, frame)
            sent += 1
            due = max(due + period_s, time.monotonic() - period_s)  # does not catch up after longer delays

    def close(self) -> None:
        pass

    def _index(self, sent: int) -> int:
        """Return the index of the source's frame that follows the first `sent` ones."""
        if not self._options.to_and_fro or self._count == 1:
            return sent % self._count
        step = sent % (2 * self._count - 2)  # ping-pong order, in which the end frames are not repeated
        return min(step, 2 * self._count - 2 - step)

    def _create_messages(self, index: int) -> _FrameMessages:
        image = self._source.frame(index).image
        info = self._info(image.shape[1], image.shape[0])
        if self._options.encoding == "mono8":
            image = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        elif self._options.encoding == "bgr8":
            image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        header = Header(frame_id=self._options.frame_id)
        return _FrameMessages(messages.camera_message(header, image, self._options.encoding), info)

    def _info(self, width: int, height: int) -> CameraInfo:
        """Return the camera_info for an image of this size in pixels, without header."""
        known = self._calibration
        if known is None:
            return uncalibrated(width, height)
        if (known.width, known.height) == (width, height):
            return known
        same_ratio = known.width * height == known.height * width
        raise ValueError(
            f"camera_info_url {self._options.camera_info_url} is for images of {known.width}x{known.height}, "
            f"and those of {self._options.source} are {width}x{height}: give a calibration of that size"
            + (f", or set width to {known.width} and height to {known.height}" if same_ratio else "")
        )

    def _send(self, index: int, frame: _FrameMessages) -> None:
        stamp = self._node.get_clock().now()
        frame.image.header.stamp = stamp.to_msg()
        frame.info.header = frame.image.header
        published_ns = time.monotonic_ns()
        self._publisher.publish(frame.image)
        self._info_publisher.publish(frame.info)
        self._sent(index, stamp.nanoseconds, published_ns)
