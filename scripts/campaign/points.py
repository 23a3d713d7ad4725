# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Points: bad depth images, clouds, masks, calibrations and palettes against nodes `points` of each source,
over DDS.

They come in batches of _BATCH. After each, a valid mask and valid geometry must become a cloud of the right
size, within a second. At the end every message with geometry must be in a counter of the diagnostics.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

from points_helpers import HEIGHT, WIDTH, places, records, scene
from points_node_helpers import Robot, arguments
from ros_helpers import Diagnostic, Probe, Process
from sensor_msgs.msg import Image, PointCloud2

from campaign import points_cases
from campaign.live import take_domain
from campaign.progress import Progress, resident_mb
from dcfm_ros.ros.points_parameters import SOURCES, PointsParameters

_BATCH = 10
_DEPTH = 4 * _BATCH  # of the queues, so that nothing is lost
_STAMP_MS = 1000  # from one pair of messages to the next
_CLOUD_S = 1.0  # within which a valid pair becomes a cloud
_ASK_S, _GIVE_UP_S = 0.05, 20.0
_WARM_UP = 1500  # batches, after which memory is looked at
_LARGEST = {"depth": 10_000, "cloud": 170_000, "lidar": 170_000, "mask": 11_000}  # bytes of a message or more
_WAITING = PointsParameters.waiting  # messages that may wait for their mask, in no counter yet
_POSE = "0 0 0 0 0 0 1"


def run(progress: Progress) -> None:
    """Do a piece of the campaign."""
    take_domain()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="dcfm_campaign_"))
        probe = Probe("campaign")
        stack.callback(probe.close)
        Attack([Target(stack, probe, source, Path(folder)) for source in SOURCES], progress).run()


class Target:
    """A node `points` in a process of its own, and what publishes to it."""

    def __init__(self, stack: ExitStack, probe: Probe, source: str, folder: Path):
        namespace = f"/points_{source}"
        self.source, self._probe = source, probe
        kind = Image if source == "depth" else PointCloud2
        geometry = f"{namespace}/{SOURCES[source].topic}"
        info = f"{namespace}/camera/depth/camera_info" if source == "depth" else f"{namespace}/camera_info"
        self.robot = Robot(probe, kind, geometry, info, namespace, reliable=True, depth=_DEPTH)
        words = arguments(source=source, **({"transform": _POSE} if source == "lidar" else {}))
        for topic in (f"{namespace}/mask", geometry, info):
            for policy, value in (("depth", _DEPTH), ("reliability", "reliable")):
                words += ["-p", f"qos_overrides.{topic}.subscription.{policy}:={value}"]
        self.process = Process("points", folder / source, "-r", f"__ns:={namespace}", *words, installed=True)
        stack.callback(self.process.stop)
        self.sent = 0  # messages with geometry
        self.at_ms = 0
        needed = [self.robot.mask, self.robot.geometry, self.robot.palette]
        for publisher in [*needed, self.robot.info] if source != "cloud" else needed:
            probe.spin_until(publisher.get_subscription_count, f"a subscription of {publisher.topic_name}")
        self._make: Callable[[Random, int], bytes] = (
            points_cases.depth if source == "depth" else points_cases.cloud
        )

    def fill(self) -> None:
        """Fill the queues with messages as large as any, behind some that become clouds.

        Fast DDS keeps, for each place of a queue, memory for the largest message that has been there: it
        would take hours until chance has brought a large one to each place, and look like a leak.
        """
        self.valid_s()
        for _ in range(_BATCH):
            self._send_valid()
        for publisher, size in (
            (self.robot.mask, _LARGEST["mask"]),
            (self.robot.geometry, _LARGEST[self.source]),
        ):
            for _ in range(_DEPTH - 2 * _BATCH):
                self._publish(publisher, b"\xff" * size)  # no message
        self.sent += _DEPTH - 2 * _BATCH
        self.valid_s()

    def attack(self, chance: Random, count: int) -> None:
        """Send bad messages: each geometry with a mask, now and then a calibration or a palette."""
        for _ in range(count):
            self.at_ms += _STAMP_MS
            stamp_ns = 10**6 * self.at_ms + 1_700_000_000 * 10**9
            if chance.random() < 0.1:
                self._publish(self.robot.info, points_cases.calibration(chance, stamp_ns))
            if chance.random() < 0.02:
                self._publish(self.robot.palette, points_cases.palette(chance, stamp_ns))
            self._publish(self.robot.mask, points_cases.mask(chance, stamp_ns))
            self._publish(self.robot.geometry, self._make(chance, stamp_ns))
            self.sent += 1

    def _publish(self, publisher: Any, data: bytes) -> None:
        publisher.publish(data or bytes(4))  # Fast DDS delivers nothing more after a message of no bytes

    def valid_s(self) -> float:
        """Send valid pairs until one becomes a cloud, which the first does if the calibration before it is
        read first; return the seconds. AssertionError if none does."""
        self.robot.send_palette()
        self.robot.send_info()
        began, sent = time.monotonic(), []
        while not (cloud := self._cloud_of(sent)):
            assert time.monotonic() - began < _GIVE_UP_S, "a valid pair became no cloud"
            self._send_valid()
            sent.append(self.robot.header(self.at_ms).stamp)
            until = time.monotonic() + _ASK_S
            self._probe.spin_until(
                lambda until=until: self._cloud_of(sent) or time.monotonic() > until, "a while"
            )
        assert (cloud.width, cloud.height) == (WIDTH, HEIGHT), f"a cloud of {cloud.width}x{cloud.height}"
        assert len(cloud.data) == cloud.row_step * HEIGHT, f"a cloud of {len(cloud.data)} bytes"
        self.robot.points.clear()
        return time.monotonic() - began

    def _send_valid(self) -> None:
        self.at_ms += _STAMP_MS
        self.robot.send_mask(self.at_ms)
        if self.source == "depth":
            self.robot.send_depth(self.at_ms)
        else:
            self.robot.send_cloud(self.at_ms, records(places(scene()[0])))
        self.sent += 1

    def _cloud_of(self, stamps: list) -> PointCloud2 | None:
        return next((cloud for cloud in self.robot.points if cloud.header.stamp in stamps), None)


class Attack:
    """A piece of the campaign against nodes that run."""

    def __init__(self, targets: list[Target], progress: Progress):
        self._targets, self._progress = targets, progress
        self._slowest_s = 0.0

    def run(self) -> None:
        progress = self._progress
        memory: dict[str, list[float]] = {target.source: [] for target in self._targets}
        record: dict[str, Any] = {"batches": 0, "slowest_cloud_s": 0.0, "resident_mb": memory}
        progress.records.append(record)
        for target in self._targets:
            target.fill()
        while progress.goes_on and all(target.process.running() for target in self._targets):
            self._batch(self._targets[record["batches"] % len(self._targets)])
            record["batches"] += 1
            record["slowest_cloud_s"] = round(self._slowest_s, 3)
            if record["batches"] % _WARM_UP == 0:
                for target in self._targets:
                    memory[target.source].append(resident_mb(target.process.pid))
                progress.save()
        for target in self._targets:
            if progress.has_died(target.process, f"{target.source}: "):
                return
            self._count(target)
            if values := memory[target.source]:
                progress.compare_memory(values, f"{target.source}: ")

    def _batch(self, target: Target) -> None:
        first = self._progress.done
        count = min(_BATCH, self._progress.goal - first)
        target.attack(Random(f"{self._progress.seed}:{first}"), count)
        self._progress.case(target.source, count)
        try:
            took = target.valid_s()
        except AssertionError as error:
            self._progress.fault(f"{target.source}: {error}", batch=first, log=target.process.text()[-2000:])
            return
        self._slowest_s = max(self._slowest_s, took)
        if took > _CLOUD_S:
            self._progress.fault(f"{target.source}: a cloud took {took:.1f} s", batch=first)

    def _count(self, target: Target) -> None:
        """Compare the geometry that was sent with the counters, which must explain every message."""

        def is_counted(status: Diagnostic) -> bool:
            refused = {key: status.number(key) for key in status.values if key.startswith("refused_")}
            unread = refused.pop("refused_message", 0)  # of every topic
            ended = status.number("published") + status.number("without_mask") + sum(refused.values())
            came = status.number("geometry")
            return came <= target.sent <= came + unread and ended <= came <= ended + _WAITING

        try:
            status = target.robot.probe.diagnostic(target.robot.topic, is_counted)
        except AssertionError:
            status = target.robot.probe.diagnostic(target.robot.topic)
            self._progress.fault(f"of {target.sent} messages of {target.source} not all are counted")
        for key, value in status.values.items():
            if key == "published" or key.startswith(("without_", "refused_")):
                self._progress.outcomes[f"{target.source}: {key}"] += int(value)
        if "could not be handled" in (said := target.process.text()):
            self._progress.fault(f"{target.source}: an error was not expected", log=said[-2000:])
