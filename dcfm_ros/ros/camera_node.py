# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node `camera`: publishes any source like a camera driver, with current stamps, or plays a recording."""

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
from dcfm_ros.ros.frame_publisher import FramePublisher, FramePublisherOptions
from dcfm_ros.ros.parameter_types import Declared, declare, declared_from, typed
from dcfm_ros.ros.play_options import PlayOptions, is_recording

_LOG_PERIOD_S = 5.0
# Timeout for the acknowledgement of the last reliable images, so that a hanging subscriber does not block
# exit.
_ARRIVAL_S = 10.0
# of the publishers; a recording's images may come in bursts
_DEPTH = {FramePublisherOptions: 2, PlayOptions: 10}
PARAMETERS: dict[str, Declared] = {
    **declared_from(PlayOptions, read_only=True),
    **declared_from(FramePublisherOptions, read_only=True),
    "reliable": Declared(
        True, "Reliable, as drivers publish (REP 2003); false: best effort.", read_only=True
    ),
    "wait_for_subscribers": Declared(0, "Begin when so many listen.", read_only=True),
    "sent_log": Declared("", "File for a JSON line per image; empty: none.", read_only=True),
}


class CameraNode(Node):
    """Camera node. `player` publishes on a thread of the node. `sent_log` names a file for one JSON line per
    published image: its index in the source, its stamp, and the monotonic time of publishing."""

    def __init__(self, **node_options):
        super().__init__("camera", **node_options)
        self.finished, self._stop = threading.Event(), threading.Event()
        self.failed, self._log = False, None
        try:
            self._open()
        except BaseException:
            self._close()  # rclpy leaves it to the garbage collector; until then the node stays in the graph
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
        """Read the parameters, open the log and create the player. Raises if a setting cannot be used."""
        declare(self, PARAMETERS)
        value = self._value
        kind = PlayOptions if is_recording(value("source")) else FramePublisherOptions
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

            self.player: BagPlayer | FramePublisher = BagPlayer(self, options, self._advertise, self._sent)
        else:
            self.player = FramePublisher(self, options, self._advertise, self._sent)

    def _options(self, kind: type) -> PlayOptions | FramePublisherOptions:
        """Return the options of this kind. Raises ValueError if a parameter of the other kind is set."""
        names, other = (
            {field.name for field in fields(kind)},
            FramePublisherOptions if kind is PlayOptions else PlayOptions,
        )
        for field in fields(other):
            if field.name not in names and (value := self._value(field.name)) != field.default:
                raise ValueError(
                    f"{field.name} is {value!r}, which does not apply to source {self._value('source')}, "
                    f"{'a recording' if kind is PlayOptions else 'no recording'}: leave it out"
                )
        return kind(**{name: self._value(name) for name in names})

    def _value(self, name: str):
        return typed(name, self.get_parameter(name).value, PARAMETERS[name])

    def _advertise(self, kind: type, topic: str) -> Publisher:
        """Create a publisher with the camera's QoS: it keeps only the newest images, so slow subscribers do
        not block it."""
        return self.create_publisher(
            kind,
            topic,
            copy(self._qos),  # rclpy writes overrides into it
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )

    def _run(self) -> None:
        try:
            self.player.prepare(self._stop)
            while (missing := self.player.missing(self._wait)) and not self._stop.wait(0.05):
                self.get_logger().info(f"waiting for {missing}", throttle_duration_sec=_LOG_PERIOD_S)
            # discovery reports a match before both ends can use it
            self._stop.wait(0.5 if self._wait else 0.0)
            self.player.play(self._stop)
            self._wait_for_arrival()
        except Exception as error:
            self.failed = True
            self.get_logger().error(f"camera stopped: {error}")
        finally:
            self.finished.set()

    def _wait_for_arrival(self) -> None:
        """Wait until reliable images are acknowledged: those in transit would be lost with their
        publisher."""
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
