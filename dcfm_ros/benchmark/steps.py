# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a frame spends its time on: the way of the segmenter, step by step.

On a GPU every step is waited for, so that the sum is more than a frame takes that waits but once.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np
import torch

from dcfm_ros.benchmark.contenders import masks_on_host, plain
from dcfm_ros.benchmark.interleave import Contender, Laps, Times, synchronize
from dcfm_ros.benchmark.report import rounded, step_rows
from dcfm_ros.benchmark.scene import Scene
from dcfm_ros.motion.track import MotionTrack
from dcfm_ros.pipeline.backends.base import Backend
from dcfm_ros.pipeline.frames import Frame
from dcfm_ros.pipeline.postprocess import upsampled_argmax
from dcfm_ros.pipeline.preprocess import network_input
from dcfm_ros.pipeline.scheduler import KeyframeScheduler
from dcfm_ros.pipeline.settings import Alignment, SchedulerConfig

BORDER_SHARES = (0.0, 0.15, 1.0)


class Steps:
    """A frame by the backend's calls; `keyframe`: with a deep path of its own."""

    def __init__(self, backend: Backend, size: tuple[int, int], keyframe: bool):
        self._backend, self._size, self._keyframe = backend, size, keyframe
        self._scheduler = KeyframeScheduler(SchedulerConfig().resolved(Alignment.FLOW))
        self._common, self._index = None, 0
        self._track, self._served_by = MotionTrack(), 0  # the keyframe whose common feature is used
        self._longest: list[float] = []
        self.slices = 0  # of a deep path

    @property
    def longest_slice_ms(self) -> float:
        """Median over keyframes: so long may a frame meet the deep path at work."""
        return float(np.median(self._longest))

    def run(self, frame: Frame, watch: Laps) -> None:
        backend = self._backend
        image = network_input(frame, self._size)
        watch.lap("preprocess")
        self._track.add(image, self._index, {self._served_by, self._scheduler.keyframe})
        watch.lap("motion")
        shallow = backend.shallow(image)
        synchronize(backend.device)
        watch.lap("shallow network")
        self._scheduler.evaluate_and_start(image, self._index, self._track)
        watch.lap("keyframe decision")
        if self._keyframe or self._common is None:  # else once, on the first frame, which is not counted
            self._common, self._served_by = self._deep(shallow), self._index
        motions = [self._track.motion(self._index, self._served_by).map]
        self._index += 1
        if self._keyframe:
            synchronize(backend.device)
            watch.lap("deep path, common feature")
        if masks_on_host(backend):
            logits = backend.decode(shallow, [self._common], motions)
            watch.lap("fusion and head")
            upsampled_argmax(logits, frame.image.shape[:2])
            watch.lap("upsample-argmax")
        else:
            backend.mask(shallow, [self._common], frame.image.shape[:2], motions=motions)
            watch.lap("fusion, head, upsample-argmax, mask to the host")

    def _deep(self, shallow):
        """In this thread, noting where it would give way."""
        marks = []
        common = self._backend.deep(shallow, lambda: marks.append(time.perf_counter()))
        marks.append(time.perf_counter())
        self.slices = len(marks) - 1
        if self.slices:
            self._longest.append(1e3 * max(np.diff(marks)))
        return common


class StepByStep:
    """Both kinds of frames, and on a GPU the transfers."""

    def __init__(self, backend: Backend, scene: Scene, size: tuple[int, int]):
        """size: (h, w) of the network input."""
        self._shallow, self._keyframe = (
            Steps(backend, size, keyframe=False),
            Steps(backend, size, keyframe=True),
        )
        self.contenders = [
            plain("steps of a shallow frame", self._shallow.run, scene),
            plain("steps of a keyframe", self._keyframe.run, scene),
        ]
        if backend.device.startswith("cuda"):
            self.contenders.append(transfers(scene, size, backend.device))

    def report(self, times: Mapping[str, Times]) -> dict:
        """`steps`, a row each; `slices` of the deep path; `transfers` in ms. None for what there is not."""
        shallow, keyframe, *copies = (times[contender.name] for contender in self.contenders)
        slices, moved = None, None
        if self._keyframe.slices:
            slices = {"number": self._keyframe.slices, "longest_ms": rounded(self._keyframe.longest_slice_ms)}
        if copies:
            moved = {name: rounded(np.median(values)) for name, values in copies[0].steps().items()}
        return {"steps": step_rows(shallow, keyframe), "slices": slices, "transfers": moved}


def transfers(scene: Scene, size: tuple[int, int], device: str) -> Contender:
    """Copies of a network input to the device and of a mask back, pinned, each by itself; backends hide some
    of it."""
    pinned = device.startswith("cuda")
    image = torch.zeros(*size, 3, dtype=torch.uint8, pin_memory=pinned)
    mask = torch.zeros(*scene.size, dtype=torch.uint8, pin_memory=pinned)
    on_device = mask.to(device)

    def run(frame: Frame, watch: Laps) -> None:
        image.to(device, non_blocking=True)
        synchronize(device)
        watch.lap("image to the device")
        mask.copy_(on_device, non_blocking=True)
        synchronize(device)
        watch.lap("mask to the host")

    return plain("transfers", run, scene)
