# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages: bad images, compressed images, calibrations and parameters against the live node, over DDS.

They come in batches of _BATCH. After each, a valid image of either camera must get its mask, of the right
size, within a second. At the end every message must be in a counter of the diagnostics.
"""

from __future__ import annotations

import time
from random import Random

from rcl_interfaces.srv import SetParameters
from rclpy.qos import QoSProfile
from ros_helpers import DEFAULTS, NODE, PERIOD_NS, Camera, Probe
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from campaign import message_cases
from campaign.live import ANEW, Live, live_segmenter
from campaign.progress import Progress, resident_mb
from dcfm_ros.pipeline.telemetry import ENDS

_BATCH = 50
_STAMP_NS = 1_700_000_000 * 10**9  # of the first message; each next one is a period later
_MASK_S = 1.0  # within which a valid image has its mask
_WARM_UP = 400  # batches, after which memory is looked at
_CAMERAS = {"raw": Image, "compressed": CompressedImage}
_PARAMETERS = [*sorted(DEFAULTS), "model", "cameras", "use_sim_time", "camera.raw.image_topic"]


def run(progress: Progress) -> None:
    """Do a piece of the campaign."""
    with live_segmenter(_CAMERAS, depth=2 * _BATCH, waiting=2 * _BATCH) as live:
        Attack(live, progress).run()


def _camera(probe: Probe, name: str, kind: type) -> Camera:
    camera = Camera(probe, f"/{name}/image", f"/dcfm/{name}", kind)
    probe.node.destroy_publisher(camera.publisher)  # of a few messages
    camera.publisher = probe.node.create_publisher(kind, camera.topic, QoSProfile(depth=2 * _BATCH))
    return camera.connect()


class Attack:
    """A piece of the campaign against a segmenter that is active."""

    def __init__(self, live: Live, progress: Progress):
        self._live, self._probe, self._progress = live, live.probe, progress
        self._cameras = {name: _camera(live.probe, name, kind) for name, kind in _CAMERAS.items()}
        probe, qos = live.probe, QoSProfile(depth=2 * _BATCH)
        self._infos = probe.node.create_publisher(CameraInfo, "/raw/camera_info", qos)
        self._client = probe.node.create_client(SetParameters, f"{NODE}/set_parameters")
        self._sent = dict.fromkeys(_CAMERAS, 0)
        self._slowest_s = 0.0

    def run(self) -> None:
        progress, memory, settled = self._progress, [], []
        record = {"batches": 0, "slowest_mask_s": 0.0, "resident_mb": memory, "settled_mb": settled}
        progress.records.append(record)
        while progress.goes_on and self._live.process.running():
            self._batch(min(_BATCH, progress.goal - progress.done))
            record["batches"] += 1
            record["slowest_mask_s"] = round(self._slowest_s, 3)
            if record["batches"] == _WARM_UP:
                self._count()
                settled.append(self._settled_mb())
            elif record["batches"] % _WARM_UP == 0:
                memory.append(resident_mb(self._live.process.pid))
                progress.save()
        if progress.has_died(self._live.process):
            return
        self._count()
        if settled:
            settled.append(self._settled_mb())
            progress.compare_memory(settled, "after a new configuration, ")
        if memory:
            progress.compare_memory(memory)

    def _settled_mb(self) -> float:
        """What the segmenter takes with a new configuration, after all messages to the one before it: freed
        memory, which is kept for the next images, is returned in between."""
        self._live.change(ANEW, self._progress)
        self._sent = dict.fromkeys(_CAMERAS, 0)  # counters begin anew
        for camera in self._cameras.values():
            camera.connect()
        return resident_mb(self._live.process.pid)

    def _batch(self, count: int) -> None:
        """Send bad messages of one kind, then valid images."""
        first = self._progress.done
        chance = Random(f"{self._progress.seed}:{first}")
        kind = chance.choices(("raw", "compressed", "calibrations", "parameters"), (45, 45, 8, 2))[0]
        if kind == "parameters":
            count = min(count, 20)
            changes = [message_cases.parameter(chance, _PARAMETERS) for _ in range(count)]
            for change in changes:
                self._client.call_async(SetParameters.Request(parameters=[change]))
        else:
            make, publisher = {
                "raw": (message_cases.image, self._cameras["raw"].publisher),
                "compressed": (message_cases.compressed_image, self._cameras["compressed"].publisher),
                "calibrations": (message_cases.calibration, self._infos),
            }[kind]
            size = chance.choice(message_cases.SIZES)  # another one begins a new sequence
            for number in range(first, first + count):
                message = make(chance, _STAMP_NS + number * PERIOD_NS, size)
                # Fast DDS delivers nothing more of a publisher after a message of no bytes
                publisher.publish(message or bytes(4))
        if kind in self._sent:
            self._sent[kind] += count
        self._progress.case(kind, count)
        if kind == "parameters":  # some of them may be right, and mean no masks
            self._restore()
        for name in _CAMERAS:
            self._cameras[name].stamp_ns = _STAMP_NS + (first + count) * PERIOD_NS - PERIOD_NS * 3 // 2
            self._valid(name, first)

    def _restore(self) -> None:
        """Set all parameters, together, once those that were sent have been set or refused: answers of
        one client come in the order of its requests."""
        self._probe.answer(self._client, SetParameters.Request())
        if refusal := self._probe.set(named=self._live.values):
            self._progress.fault(f"the parameters could not be set back: {refusal}")

    def _valid(self, name: str, first: int) -> None:
        camera = self._cameras[name]
        message = camera.send(width=96, height=64)
        self._sent[name] += 1
        sent = time.monotonic()
        try:
            self._probe.spin_until(lambda: camera.has_mask(message), "a mask", timeout_s=20.0)
        except AssertionError:
            self._progress.fault(f"a valid image of {name} got no mask", batch=first)
            return
        took = time.monotonic() - sent
        self._slowest_s = max(self._slowest_s, took)
        if took > _MASK_S:
            self._progress.fault(f"a mask took {took:.1f} s", batch=first)
        mask = next(mask for mask in camera.masks if mask.header.stamp == message.header.stamp)
        if (mask.width, mask.height, len(mask.data)) != (96, 64, 96 * 64):
            self._progress.fault(f"a mask of {mask.width}x{mask.height} for an image of 96x64", batch=first)
        for collected in (camera.masks, camera.infos, camera.keyframes):
            collected.clear()

    def _count(self) -> None:
        """Compare what was sent with the counters, which must explain every message."""
        for name, sent in self._sent.items():

            def counted(status, sent=sent) -> bool:
                never = status.number("lost") + status.number("overwritten")
                return status.ended() == status.number("received") == sent - never

            topic = self._cameras[name].topic
            try:
                status = self._probe.diagnostic(topic, counted)
            except AssertionError:
                status = self._probe.diagnostic(topic)
                self._progress.fault(
                    f"of {sent} messages of {name} not all are counted", values=status.values
                )
            if status.number("failures"):
                self._progress.fault("an image raised an error", error=status.values["last_error"])
            for key, value in status.values.items():
                if key in (*ENDS, "lost", "overwritten") or key.startswith("refused_"):
                    self._progress.outcomes[f"{name}: {key}"] += int(float(value))
