# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bag player of the camera node: publishes recorded images and camera_info, at the recorded rate or as fast
as masks come back."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NamedTuple

from builtin_interfaces.msg import Time
from rclpy.exceptions import NameValidationException
from rclpy.node import Node
from rclpy.publisher import Publisher
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from dcfm_ros import stamps
from dcfm_ros.bags.arrivals import Arrival, VideoReader
from dcfm_ros.bags.errors import BagError
from dcfm_ros.bags.finding import is_bag
from dcfm_ros.bags.make import filled_image
from dcfm_ros.bags.names import recording_path
from dcfm_ros.bags.reading import open_bag
from dcfm_ros.bags.storage import storage_files
from dcfm_ros.bags.topic import Key, Topic
from dcfm_ros.bags.topics import choose_cameras, find_topic
from dcfm_ros.bags.types import CAMERA_INFO, IMAGE, typestore
from dcfm_ros.evaluation.read_ahead import ahead
from dcfm_ros.pipeline.frames import InputError
from dcfm_ros.ros.bag_time import LONGEST_GAP_NS, BagTime
from dcfm_ros.ros.calibration import info_topic
from dcfm_ros.ros.lockstep import LockStep
from dcfm_ros.ros.play_options import PlayOptions
from dcfm_ros.stamps import NS_PER_S

_READ_AHEAD = 8  # images; at full HD 50 MB
_END_OF_TIME_NS = 2**31 * stamps.NS_PER_S  # of seconds as messages have them
_LONE_GAP_NS = NS_PER_S  # from the end of a recording of a single image to its next beginning
_NAMED = 3  # maximum number of recordings named in an error
_LOG_PERIOD_S = 5.0  # throttle period of repeated warnings


class _Sendable(NamedTuple):
    """A recorded message, ready to be published."""

    number: int | None  # among the messages of the cameras' topics, from 0; None: a camera_info
    publisher: Publisher
    step: LockStep | None
    log_ns: int
    stamp: Time | None  # None: cannot be published
    raw: bytes  # CDR
    fault: str = ""  # why it cannot be published


class BagPlayer:
    """Plays the cameras of a recording. Headers, data and topic names are the recording's own, byte for byte.
    Only video is decoded: its pictures are published as rgb8 images under image_transport's name for the raw
    topic, so that subscribers can join at any time.

    Messages that cannot be deserialised, and those without a valid log time, are left out. Everything else is
    published, usable or not.
    `sent(number, stamp_ns, published_ns)` is called after each image. `play` is for one thread; `sent`,
    `left_out` and `without_mask` count images and may be read from any thread.
    """

    def __init__(
        self,
        node: Node,
        options: PlayOptions,
        advertise: Callable[[type, str], Publisher],
        sent: Callable[[int, int, int], None],
    ):
        self._node, self._options, self._sent = node, options, sent
        self.sent = self.left_out = self.without_mask = 0
        with ExitStack() as stack:
            self._bag = stack.enter_context(open_bag(_recording(options.source)))
            self._cameras = choose_cameras(self._bag, options.topics)
            names = [camera.name for camera in self._cameras]
            recorded = [camera.raw_name if camera.is_video else camera.topic.name for camera in self._cameras]
            topics = options.image_topics(recorded, self._cameras[0].compressed)
            masks = options.mask_topics(names) if options.lockstep else []
            try:
                self._steps = {
                    camera.topic.key: LockStep(node, topic, mask, options.mask_timeout)
                    for camera, topic, mask in zip(self._cameras, topics, masks)
                }
                self._publishers = {
                    camera.topic.key: advertise(CompressedImage if camera.compressed else Image, topic)
                    for camera, topic in zip(self._cameras, topics)
                }
                self._infos = self._advertise_infos(advertise)
                self._all = {**self._publishers, **self._infos}
            except NameValidationException as error:
                text = " ".join(str(error).split())
                raise BagError(
                    f"{self._bag.path}: {text}; choose a camera with `topics` and its topic with "
                    "image_topic, and where masks come from with mask_topic"
                ) from error
            self._time = BagTime(node, math.inf if options.lockstep else options.speed, options.clock)
            self._close = stack.pop_all().close
        count = sum(camera.topic.count for camera in self._cameras)
        pace = (
            f"in lock-step with {', '.join(step.mask_topic for step in self._steps.values())}"
            if self._steps
            else f"at {options.speed:g} times their rate"
        )
        on = ", ".join(publisher.topic_name for publisher in self._publishers.values())
        self.title = f"{options.source}: {count} images {pace} on {on}"
        for note in self._bag.notes:
            node.get_logger().warning(f"{options.source}: {note}")

    @property
    def publishers(self) -> list[Publisher]:
        """The publishers of images and camera_info."""
        return [*self._all.values()]

    def missing(self, subscribers: int) -> str:
        """Return what is missing before playback can start, in words: subscribers of each camera, and
        publishers of the masks in lock-step. Empty if nothing is."""
        parts = [
            f"{subscribers} subscribers of {publisher.topic_name}"
            for publisher in self._publishers.values()
            if publisher.get_subscription_count() < subscribers
        ]
        parts += [
            f"a publisher of {step.mask_topic}" for step in self._steps.values() if not step.has_segmenter()
        ]
        return " and ".join(parts)

    def prepare(self, stop: threading.Event) -> None:
        pass

    def play(self, stop: threading.Event) -> None:
        """Play until the end of the recording or until `stop` is set. Raises BagError if the recording is
        damaged."""
        while not stop.is_set():
            before, last_ns, span_ns, gaps, fault = self.sent, None, 0, 0, ""
            with closing(ahead(self._messages(), _READ_AHEAD)) as arrivals:
                for message in arrivals:
                    if message.fault:
                        fault = fault if message.number is None else f": the last {message.fault}"
                        self._leave_out(message)
                    elif not self._time.wait_until(message.log_ns, stop):
                        return
                    elif message.number is None:
                        message.publisher.publish(message.raw)
                    else:
                        if last_ns is not None and message.log_ns - last_ns <= LONGEST_GAP_NS:
                            span_ns, gaps = span_ns + message.log_ns - last_ns, gaps + 1
                        last_ns = message.log_ns
                        self._send(message, message.number, stop)
            if self.sent == before:
                raise BagError(f"{self._bag.path}: none of its images can be sent{fault}")
            if not self._options.loop:
                break
            self._time.end_round(span_ns / gaps if gaps else _LONE_GAP_NS)
        self._node.get_logger().info(
            f"{self.sent} images sent, {self.left_out} left out"
            + (f", {self.without_mask} without a mask" if self._steps else "")
        )

    def close(self) -> None:
        """Close the recording. Call it after `play` has returned."""
        self._close()

    def _advertise_infos(self, advertise: Callable[[type, str], Publisher]) -> dict[Key, Publisher]:
        """Advertise each recorded camera_info topic that belongs to one or several cameras; returns the
        publishers by topic key."""
        infos = {}
        for camera in self._cameras:
            topic = find_topic(self._bag, info_topic(camera.raw_name), CAMERA_INFO)
            if topic is not None and topic.key not in infos:
                infos[topic.key] = advertise(
                    CameraInfo, info_topic(self._publishers[camera.topic.key].topic_name)
                )
        return infos

    def _messages(self) -> Iterator[_Sendable]:
        """Yield the messages of one pass through the recording; read on a separate thread. Includes what
        follows the last image, up to the next one."""
        images = 0
        videos = {
            camera.topic.key: VideoReader(self._bag, camera.topic)
            for camera in self._cameras
            if camera.is_video
        }
        for topic, log_ns, raw in self._bag.messages(
            [topic for topic in self._bag.topics if topic.key in self._all]
        ):
            number = None
            if topic.key in self._publishers:
                if images == self._options.frames > 0:
                    break
                number, images = images, images + 1
            if number is not None and topic.key in videos:
                yield from (
                    self._picture(topic.key, one) for one in videos[topic.key].read(number, log_ns, raw)
                )
            else:
                yield self._recorded(topic, number, log_ns, raw)
        for key, video in videos.items():
            yield from (self._picture(key, one) for one in video.flush())

    def _recorded(self, topic: Topic, number: int | None, log_ns: int, raw: bytes) -> _Sendable:
        try:
            return self._sendable(topic.key, number, log_ns, self._bag.decode(topic, raw).header, bytes(raw))
        except InputError:
            return self._sendable(topic.key, number, log_ns, None, b"", "is damaged")

    def _picture(self, key: Key, arrival: Arrival) -> _Sendable:
        """Return a picture of a video as an image message."""
        try:
            image = filled_image(arrival.header, arrival.decode().pixels, "rgb8")
        except InputError as error:
            return self._sendable(
                key, arrival.number, arrival.log_ns, None, b"", f"contains no picture ({error})"
            )
        return self._sendable(
            key,
            arrival.number,
            arrival.log_ns,
            arrival.header,
            bytes(typestore().serialize_cdr(image, IMAGE)),
        )

    def _sendable(
        self, key: Key, number: int | None, log_ns: int, header, raw: bytes, fault: str = ""
    ) -> _Sendable:
        stamp = Time(sec=header.stamp.sec, nanosec=header.stamp.nanosec) if header is not None else None
        if not 0 <= log_ns < _END_OF_TIME_NS:
            fault = f"has log time {log_ns} ns, which is not a valid ROS time (0 to {_END_OF_TIME_NS} ns)"
        return _Sendable(number, self._all[key], self._steps.get(key), log_ns, stamp, raw, fault)

    def _send(self, image: _Sendable, number: int, stop: threading.Event) -> None:
        step = image.step
        if step is not None:
            step.expect(image.stamp)
        published_ns = time.monotonic_ns()
        image.publisher.publish(image.raw)
        self.sent += 1
        self._sent(number, stamps.stamp_ns(image.stamp), published_ns)
        if step is not None and (reason := step.wait(stop)):
            self.without_mask += 1
            self._node.get_logger().warning(
                f"no mask for image {number} (stamp {stamps.stamp_ns(image.stamp)}), "
                f"{self.without_mask} so far: {reason}"
            )

    def _leave_out(self, message: _Sendable) -> None:
        if message.number is None:
            text = f"a camera_info of {self._bag.path} {message.fault} and was left out"
        else:
            self.left_out += 1
            text = (
                f"message {message.number} of {self._bag.path} {message.fault} and was left out, "
                f"{self.left_out} so far"
            )
        self._node.get_logger().warning(text, throttle_duration_sec=_LOG_PERIOD_S)


def _recording(source: str) -> Path:
    """Return the path of the recording that `source` names; raises BagError for a folder of several."""
    path = recording_path(Path(source))
    if path.is_dir() and not is_bag(path) and len(files := storage_files(path)) > 1:
        names = ", ".join(file.name for file in files[:_NAMED]) + ", …" * (len(files) > _NAMED)
        raise BagError(f"{source} holds {len(files)} recordings ({names}): give one of them as the source")
    return path
