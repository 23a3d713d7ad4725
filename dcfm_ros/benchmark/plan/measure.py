# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measures one model in this process: what a frame and a keyframe cost, then the schedule that follows."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from dcfm_ros.benchmark.plan.drive import CameraDrive
from dcfm_ros.benchmark.plan.measured import Drive, Job, Measured
from dcfm_ros.benchmark.plan.ros_cost import ros_cost_s
from dcfm_ros.benchmark.plan.scene import camera_scene, megabytes
from dcfm_ros.benchmark.plan.schedule import Costs, Wish, schedule_for
from dcfm_ros.model.geometry import input_size
from dcfm_ros.model.stored import StoredModel
from dcfm_ros.pipeline.memory import settle_memory, tune_malloc
from dcfm_ros.pipeline.segmenter import Segmenter
from dcfm_ros.pipeline.settings import PipelineConfig, SchedulerConfig

NEVER = SchedulerConfig(1000, 1000)  # a keyframe, but for the first
ALWAYS = SchedulerConfig(1, 1)
# Shares of the time: frames alone, keyframes all the time, the schedule; before each, what does not count.
_ALONE, _ENCODING, _PLANNED, _SETTLE = 0.2, 0.25, 0.45, 0.04
_LEAST_IMAGES = 10  # of each camera in each part
_LEAST_KEYFRAMES, _LONGER = 3, 5  # where keyframes take seconds: so many, in so many times the time at most
_IDLE, _IDLE_S, _IDLE_TIMEOUT_S = 0.3, 0.25, 60.0  # share of a core, over so long

Tell = Callable[[str, float], None]  # what begins now, and how many seconds of measuring are done by then


class Reconverted(Exception):
    """The networks had to be converted first, which leaves in memory what a node from the cache lacks."""


def measure(job: Job, tell: Tell, again: bool = True) -> Measured:
    """Measure a model. again: raise Reconverted instead, where another process would start from the cache"""
    tune_malloc()  # as the node does
    tell("drawing images", 0.0)
    scene = camera_scene(job.image_size, job.rate_hz)
    config = PipelineConfig(mask_size=job.mask_size)
    model = StoredModel(job.model)
    make = partial(Segmenter.of, model, job.backend, job.device, config, job.precision)
    tell("loading, and compiling where the cache has no network of this size", 0.0)
    drive = CameraDrive(make, scene, job.cameras, job.rate_hz, config.waiting_images)
    try:
        drive.warm_up(ALWAYS, lambda elapsed: tell("", 0.0))
        _wait_until_idle()
        backend = drive.segmenter.backend
        if again and backend.name == "openvino" and "torch" in sys.modules:
            raise Reconverted
        settle_memory()  # as the node does
        parts = _Parts(job, drive, tell)
        per_frame = drive.segmenter.per_frame
        wish = Wish(job.rate_hz, job.cameras, job.cores, job.share)
        alone = parts.run("frames without keyframes", NEVER, _ALONE)
        encoding = alone if per_frame else parts.run("keyframes all the time", ALWAYS, _ENCODING)
        if not per_frame and encoding.keyframes < _LEAST_KEYFRAMES:
            encoding = parts.run("keyframes all the time, which take long", ALWAYS, _ENCODING * _LONGER)
        costs = costs_of(alone, encoding, ros_cost_s(job.image_size), per_frame)
        schedule = schedule_for(wish, costs)
        planned = parts.run("the plan", schedule.scheduler, _PLANNED)
        if _load(planned, costs) > wish.capacity and not per_frame:
            corrected = corrected_costs(costs, planned)
            if (other := schedule_for(wish, corrected)) != schedule:
                costs, schedule = corrected, other
                planned = parts.run("the plan with fewer keyframes", schedule.scheduler, _PLANNED)
        size = (model.config.input_height, model.config.input_width)
        return Measured(
            job,
            backend.name,
            backend.device,
            backend.precision,
            drive.segmenter.config.mode,
            input_size(job.image_size, size),
            costs,
            schedule,
            planned,
            _resident_mb() - megabytes(scene),
        )
    finally:
        drive.stop()


def costs_of(alone: Drive, encoding: Drive, ros_s: float, per_frame: bool) -> Costs:
    """From a drive without keyframes and one with keyframes all the time."""
    if not alone.masks:
        return Costs(alone.cpu_s, 0.0, 0.0, ros_s, per_frame)
    frame_s = alone.cpu_s / alone.masks
    if per_frame:
        return Costs(frame_s, 0.0, 0.0, ros_s, per_frame=True)
    keyframes = max(1, encoding.keyframes)
    keyframe_s = max(0.0, encoding.cpu_s - encoding.masks * frame_s) / keyframes
    return Costs(frame_s, keyframe_s, encoding.keyframes / encoding.seconds, ros_s)


def corrected_costs(costs: Costs, planned: Drive) -> Costs:
    """The same, with what is more under the schedule counted as keyframes'."""
    if not planned.keyframes:
        return costs
    keyframe_s = (planned.cpu_s - planned.masks * costs.frame_s) / planned.keyframes
    return Costs(costs.frame_s, max(costs.keyframe_s, keyframe_s), costs.encoder_hz, costs.ros_s)


class _Parts:
    """The parts of the measurement, one after the other, and the seconds that are done."""

    def __init__(self, job: Job, drive: CameraDrive, tell: Tell):
        self._job, self._drive, self._tell, self._done_s = job, drive, tell, 0.0

    def run(self, what: str, scheduler: SchedulerConfig, share: float) -> Drive:
        least_s = _LEAST_IMAGES / self._job.rate_hz
        self._tell(what, self._done_s)
        return self._drive.run(
            scheduler,
            max(least_s, share * self._job.seconds),
            max(3 / self._job.rate_hz, _SETTLE * self._job.seconds),
            self._elapsed,
        )

    def _elapsed(self, seconds: float) -> None:
        self._done_s += seconds
        self._tell("", self._done_s)


def _load(drive: Drive, costs: Costs) -> float:
    return (drive.cpu_s + drive.masks * costs.ros_s) / drive.seconds


def _wait_until_idle() -> None:
    """Until nothing is compiled any more beside the masks."""
    ends = time.monotonic() + _IDLE_TIMEOUT_S
    while time.monotonic() < ends:
        used_s = time.process_time()
        time.sleep(_IDLE_S)
        if time.process_time() - used_s < _IDLE * _IDLE_S:
            return


def _resident_mb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("/proc/self/status has no VmRSS: the memory of a process is read there, on Linux")
