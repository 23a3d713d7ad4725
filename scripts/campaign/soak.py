# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Soak: two cameras as fast as they go, with keyframes and alignment, while parameters change, outputs are
subscribed now and then, and the node is deactivated and activated every _LIFE frames.

After each _LIFE the process's memory, threads and open files are noted, and the latencies. Within a piece,
the process is one and the same. The figure beside the progress shows them all.
"""

from __future__ import annotations

import time
from math import ceil
from statistics import median

import numpy as np
import psutil
from ros_helpers import NODE, Camera
from sensor_msgs.msg import Image

from campaign.live import ANEW, Live, live_segmenter
from campaign.progress import Progress, resident_mb
from campaign.soak_figure import draw

_LIFE = 10_000  # frames between two lifecycle cycles
_UNDER_WAY = 8  # frames of each camera at once, so that the next is there when one is done
_MASK_S = 10.0  # within which a mask must come
_CAMERAS = {"front": Image, "rear": Image}
_SLOWER = 0.1  # of p99, of the last tenth against the first
_CHANGES = ({"threshold": 10.0}, {"max_interval": 7}, {"overlay_alpha": 0.3}, {"min_interval": 3})
_SETTINGS = len(_CHANGES)  # lives after which they, and who listens, are the same again
_BACK = {"threshold": 0.3, "max_interval": 1000, "overlay_alpha": 0.5, "min_interval": 2}


def run(progress: Progress) -> None:
    """Do a piece of the soak."""
    settings = {"backend": "openvino", "threshold": 0.3}
    with live_segmenter(_CAMERAS, depth=4 * _UNDER_WAY, waiting=4 * _UNDER_WAY, **settings) as live:
        Soak(live, progress).run()


class Soak:
    """A piece of the soak against a segmenter that is active."""

    def __init__(self, live: Live, progress: Progress):
        self._live, self._progress, self._probe = live, progress, live.probe
        self._cameras = [
            Camera(live.probe, f"/{name}/image", f"/dcfm/{name}", reliable=True) for name in _CAMERAS
        ]
        for camera in self._cameras:
            camera.connect()
        self._process = psutil.Process(live.process.pid)
        self._pictures = [self._cameras[0].image(seed=seed) for seed in range(20)]
        self._others: list = []  # subscriptions of outputs that come and go

    def run(self) -> None:
        progress, lives = self._progress, []
        while progress.goes_on and self._live.process.running():
            lives.append(self._life())
            progress.records.append(lives[-1])
            progress.save()
            if lives[-1]["frames"] == _LIFE:
                self._cycle(len(lives))
        progress.has_died(self._live.process)
        self._compare([life for life in lives if life["frames"] == _LIFE][1:])  # the first warms up
        draw(progress.records, progress.path.with_suffix(".png"))

    def _compare(self, lives: list[dict]) -> None:
        """Note what grew from the first life of this piece to the last."""
        if len(lives) < 2:
            return
        first, last = lives[0], lives[-1]
        for what in ("threads", "files"):
            if last[what] > first[what]:
                self._progress.fault(f"{what} grew", first=first, last=last)
        self._progress.compare_memory([life["resident_mb"] for life in lives])
        tenth = _SETTINGS * ceil(len(lives) / (10 * _SETTINGS))  # with each setting as often
        if 2 * tenth > len(lives):
            return
        before, after = (median(life["p99_ms"] for life in some) for some in (lives[:tenth], lives[-tenth:]))
        if after > (1 + _SLOWER) * before:
            self._progress.fault(f"p99 of the last tenth is {after:.2f} ms, of the first {before:.2f} ms")

    def _life(self) -> dict:
        """Send up to _LIFE frames, and return what was measured."""
        sent, latencies, began = 0, [], time.monotonic()
        while sent < _LIFE and self._progress.goes_on:
            for camera in self._cameras:
                for number in range(_UNDER_WAY):
                    image = self._pictures[(sent + number) % len(self._pictures)]
                    image.header = camera.header()
                    camera.send(image)
                    last = image.header.stamp
                self._wait(camera, last)
                latencies += [info.latency_s for info in camera.infos]
                missing = _UNDER_WAY - len(camera.masks)
                if missing:
                    self._progress.fault(f"{missing} masks are missing", topic=camera.topic)
                for collected in (camera.masks, camera.infos, camera.keyframes):
                    collected.clear()
                sent += _UNDER_WAY
                self._progress.case("frames", _UNDER_WAY)
        return {
            "frames": sent,
            "per_s": round(sent / (time.monotonic() - began), 1),
            "p50_ms": round(1e3 * float(np.percentile(latencies, 50)), 2),
            "p99_ms": round(1e3 * float(np.percentile(latencies, 99)), 2),
            "resident_mb": resident_mb(self._process.pid),
            "threads": self._process.num_threads(),
            "files": self._process.num_fds(),
            "load": round(psutil.getloadavg()[0], 1),
        }

    def _wait(self, camera: Camera, stamp) -> None:
        try:
            self._probe.spin_until(
                lambda: (
                    camera.masks
                    and camera.masks[-1].header.stamp == stamp
                    and camera.infos
                    and camera.infos[-1].header.stamp == stamp
                ),
                f"the mask of {stamp}",
                timeout_s=_MASK_S,
            )
        except AssertionError as error:
            self._progress.fault(str(error), topic=camera.topic)

    def _cycle(self, number: int) -> None:
        """Deactivate and activate the node, change a parameter, and change who listens."""
        self._live.change(("deactivate", "activate") if number % _SETTINGS else ANEW, self._progress)
        if refusal := self._probe.set(NODE, **{**_BACK, **_CHANGES[number % _SETTINGS]}):
            self._progress.fault(f"a parameter was refused: {refusal}")
        for subscription in self._others:
            self._probe.drop(subscription)
        outputs = ("overlay", "confidence", "color_mask")[: number % _SETTINGS]
        self._others = [self._probe.collect(Image, f"/dcfm/front/{output}", 1) for output in outputs]
        for camera in self._cameras:
            camera.connect()
