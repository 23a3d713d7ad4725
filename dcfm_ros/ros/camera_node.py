# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node `camera`: publishes any source as a camera driver would, with true stamps, or plays a
recording."""

from __future__ import annotations

import json
import threading
import time
from copy import copy
from dataclasses import fields

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

from dcfm_ros.ros import process
from dcfm_ros.ros.parameter_types import Declared, declare, typed
from dcfm_ros.ros.play_options import PlayOptions, is_recording
from dcfm_ros.ros.reel import ENCODINGS, Reel, ReelOptions

_TEXTS = {
    "source": "synthetic[:SEED], a folder of images, a video file, or a recording (rosbag2: a folder, .mcap "
    "or .db3).",
    "image_topic": "Where to publish; empty: camera/image_raw in the node's namespace, of a recording its "
    "own topics.",
    "loop": "Begin again at the end; otherwise stop there.",
    "frames": "Images before the end; 0: all of the source (an endless one has 300).",
    "width": "Image width; 0 keeps the source's.",
    "height": "Image height; 0 keeps the source's.",
    "rate": "Images per second.",
    "to_and_fro": "Go back from the end frame by frame, without a cut.",
    "encoding": f"One of {', '.join(ENCODINGS)}; the last two are compressed.",
    "preload": "Make all images before the first is sent.",
    "frame_id": "frame_id of the headers; an optical frame (REP 103).",
    "camera_info_url": "Calibration for camera_info: a YAML file's path or file:// URL; empty: uncalibrated.",
    "topics": "Of a recording: topics of cameras; none: all that look like one.",
    "speed": "Of a recording: 1.0 as recorded, 2.0 twice as fast.",
    "lockstep": "Of a recording: send an image when the mask of the one before has come.",
    "mask_topic": "For lockstep: where masks come from, {camera} is the camera's name; empty: dcfm/mask, of "
    "several "
    "dcfm/{camera}/mask, in the node's namespace.",
    "mask_timeout": "For lockstep: seconds until the next image is sent without a mask.",
    "clock": "Of a recording: publish its time as /clock.",
}
_LOG_PERIOD_S = 5.0
# in which the last reliable images arrive; a subscriber that hangs does not hold up the end for longer
_ARRIVAL_S = 10.0
_DEPTH = {ReelOptions: 2, PlayOptions: 10}  # of the publishers; a recording's images may come in bursts
_RANGES = {
    "frames": (0, 10_000_000),
    "rate": (0.1, 1000.0),
    "speed": (0.01, 1000.0),
    "mask_timeout": (0.1, 3600.0),
}
_PARAMETERS = {
    **{
        field.name: Declared(
            field.default, _TEXTS[field.name], *_RANGES.get(field.name, (None, None)), read_only=True
        )
        for kind in (PlayOptions, ReelOptions)
        for field in fields(kind)
    },
    "reliable": Declared(
        True, "Reliable, as drivers publish (REP 2003); false: best effort.", read_only=True
    ),
    "wait_for_subscribers": Declared(0, "Begin when so many listen.", read_only=True),
    "sent_log": Declared("", "File for a JSON line per image; empty: none.", read_only=True),
}


class CameraNode(Node):
    """`sent_log` names a file for one JSON line per published image: its index in the source, its stamp, and
    the monotonic time of publishing. `player` does the work, on a thread of the node."""

    def __init__(self, **node_options):
        super().__init__("camera", **node_options)
        self.finished, self._stop = threading.Event(), threading.Event()
        self.failed, self._log = False, None
        try:
            self._open()
        except BaseException:
            self._close()  # rclpy leaves it to the garbage collector, and until then the node to the graph
            raise
        self._thread = threading.Thread(target=self._run, name="dcfm-camera", daemon=True)
        self.get_logger().info(self.player.title)
        self._thread.start()

    def destroy_node(self) -> None:
        self._stop.set()
        self._thread.join()
        self.player.close()
        self._close()

    def _close(self) -> None:
        if self._log:
            self._log.close()
        super().destroy_node()

    def _open(self) -> None:
        """Parameters, log and player. Raises where a setting cannot be used."""
        declare(self, _PARAMETERS)
        value = self._value
        kind = PlayOptions if is_recording(value("source")) else ReelOptions
        options = self._options(kind)
        self._qos = QoSProfile(
            depth=_DEPTH[kind],
            history=HistoryPolicy.KEEP_LAST,
            reliability=(ReliabilityPolicy.RELIABLE if value("reliable") else ReliabilityPolicy.BEST_EFFORT),
        )
        self._wait = max(value("wait_for_subscribers"), int(getattr(options, "lockstep", False)))
        self._log = open(value("sent_log"), "w", buffering=1) if value("sent_log") else None  # noqa: SIM115
        if isinstance(options, PlayOptions):
            from dcfm_ros.ros.bag_player import BagPlayer  # late: other sources need no PyTorch

            self.player = BagPlayer(self, options, self._advertise, self._sent)
        else:
            self.player = Reel(self, options, self._advertise, self._sent)

    def _options(self, kind: type) -> PlayOptions | ReelOptions:
        """Of this kind; ValueError where a parameter is set that only the other kind knows."""
        names, other = (
            {field.name for field in fields(kind)},
            ReelOptions if kind is PlayOptions else PlayOptions,
        )
        for field in fields(other):
            if field.name not in names and (value := self._value(field.name)) != field.default:
                raise ValueError(
                    f"{field.name} is {value!r}, which means nothing for source {self._value('source')}, "
                    f"{'a recording' if kind is PlayOptions else 'no recording'}: leave it out"
                )
        return kind(**{name: self._value(name) for name in names})

    def _value(self, name: str):
        return typed(name, self.get_parameter(name).value, _PARAMETERS[name])

    def _advertise(self, kind: type, topic: str) -> Publisher:
        """A publisher as all of the camera's are. It keeps the newest images alone, and so waits for no slow
        subscriber."""
        return self.create_publisher(
            kind,
            topic,
            copy(self._qos),  # overrides are written into it
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )

    def _run(self) -> None:
        try:
            self.player.prepare(self._stop)
            while (missing := self.player.missing(self._wait)) and not self._stop.wait(0.05):
                self.get_logger().info(f"waiting for {missing}", throttle_duration_sec=_LOG_PERIOD_S)
            self._stop.wait(
                0.5 if self._wait else 0.0
            )  # discovery reports the match before both ends can use it
            self.player.play(self._stop)
            self._wait_for_arrival()
        except Exception as error:
            self.failed = True
            self.get_logger().error(f"camera stopped: {error}")
        finally:
            self.finished.set()

    def _wait_for_arrival(self) -> None:
        """Reliable images that are still under way are lost with their publisher."""
        deadline = time.monotonic() + _ARRIVAL_S
        for publisher in self.player.publishers:
            while not publisher.wait_for_all_acked(Duration(seconds=0.1)):  # bounds the wait for `stop`
                if self._stop.is_set() or time.monotonic() > deadline:
                    return

    def _sent(self, index: int, stamp_ns: int, published_ns: int) -> None:
        if self._log:
            self._log.write(
                json.dumps({"index": index, "stamp_ns": stamp_ns, "published_ns": published_ns}) + "\n"
            )


def main(arguments: list[str] | None = None) -> int:
    node = process.run(CameraNode, arguments, ends=lambda node: [node.finished])
    return 1 if node.failed else 0
