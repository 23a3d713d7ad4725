# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The camera node's frames: a source's, at a rate, with stamps of now, and a camera_info beside each."""

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
from dcfm_ros.sources.open import open_source

ENCODINGS = ("rgb8", "bgr8", "mono8", "jpeg", "png")


@dataclass(frozen=True)
class ReelOptions:
    """Of every source that is no recording."""

    source: str = "synthetic"
    image_topic: str = ""  # camera/image_raw where empty
    loop: bool = True
    frames: int = 0  # images before the end; 0: all of the source (an endless one has 300)
    width: int = 0  # pixels; 0 keeps the source's
    height: int = 0
    rate: float = 15.0  # Hz
    to_and_fro: bool = False  # go back from the end frame by frame
    encoding: str = "bgr8"
    preload: bool = False  # make all images before the first is sent
    frame_id: str = "camera_optical_frame"
    camera_info_url: str = ""  # of a calibration file; uncalibrated where empty

    def __post_init__(self):
        if self.encoding not in ENCODINGS:
            raise ValueError(f"encoding {self.encoding!r}: use one of {', '.join(ENCODINGS)}")


class _Shot(NamedTuple):
    """A frame as it will be sent, but for its stamp."""

    image: Image | CompressedImage
    info: CameraInfo


class Reel:
    """Messages are made ahead of time where `preload` is set, so that making them takes no time from what is
    measured.

    `sent(index, stamp_ns, published_ns)` is called after each image: its index in the source, its stamp, and
    time.monotonic_ns() at its publishing. `prepare` and `play` are for one thread.
    """

    def __init__(
        self,
        node: Node,
        options: ReelOptions,
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
        self._info(
            self._source.width, self._source.height
        )  # a calibration of another size is refused at once
        self._made: list[_Shot] = []
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
        """Of the images and of what goes beside them."""
        return [self._publisher, self._info_publisher]

    def missing(self, subscribers: int) -> str:
        """Who has to be there before it may begin, in words; empty if all are."""
        heard = self._publisher.get_subscription_count() >= subscribers
        return "" if heard else f"{subscribers} subscribers of {self._publisher.topic_name}"

    def prepare(self, stop: threading.Event) -> None:
        if self._options.preload:
            self._made = [self._shot(index) for index in range(self._count) if not stop.is_set()]

    def play(self, stop: threading.Event) -> None:
        """Until the end of the source or of our time."""
        period_s = 1.0 / self._options.rate
        due = time.monotonic()
        sent = 0
        while not stop.is_set() and (self._options.loop or sent < self._count):
            index = self._index(sent)
            shot = self._made[index] if self._made else self._shot(index)
            if stop.wait(max(0.0, due - time.monotonic())):
                break
            self._send(index, shot)
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

    def _shot(self, index: int) -> _Shot:
        image = self._source.frame(index).image
        info = self._info(image.shape[1], image.shape[0])
        if self._options.encoding == "mono8":
            image = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        elif self._options.encoding == "bgr8":
            image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        header = Header(frame_id=self._options.frame_id)
        return _Shot(messages.camera_message(header, image, self._options.encoding), info)

    def _info(self, width: int, height: int) -> CameraInfo:
        """For an image of this size, in pixels, but for its header."""
        known = self._calibration
        if known is None:
            return uncalibrated(width, height)
        if (known.width, known.height) == (width, height):
            return known
        same_ratio = known.width * height == known.height * width
        raise ValueError(
            f"camera_info_url {self._options.camera_info_url} is for images of {known.width}x{known.height}, "
            f"and those of "
            f"{self._options.source} are {width}x{height}: give a calibration of that size"
            + (f", or set width to {known.width} and height to {known.height}" if same_ratio else "")
        )

    def _send(self, index: int, shot: _Shot) -> None:
        stamp = self._node.get_clock().now()
        shot.image.header.stamp = stamp.to_msg()
        shot.info.header = shot.image.header
        published_ns = time.monotonic_ns()
        self._publisher.publish(shot.image)
        self._info_publisher.publish(shot.info)
        self._sent(index, stamp.nanoseconds, published_ns)
