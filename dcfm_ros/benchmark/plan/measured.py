# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is measured of a model, and what of it is a plan's row."""

from __future__ import annotations

from dataclasses import dataclass

from dcfm_ros.benchmark.plan.age_curve import Accuracy
from dcfm_ros.benchmark.plan.schedule import Costs, Schedule
from dcfm_ros.pipeline.settings import Mode


@dataclass(frozen=True)
class Job:
    """What is measured. image_size: (H, W); seconds: for all of it, without compiling"""

    model: str
    backend: str
    device: str
    precision: str
    mask_size: str
    image_size: tuple[int, int]
    rate_hz: float
    cameras: int
    share: float
    cores: int
    seconds: float


@dataclass(frozen=True)
class Drive:
    """Some seconds of cameras under a schedule. Latencies from the arrival of an image to its mask."""

    seconds: float
    cpu_s: float  # of the process, all threads
    others_s: float  # the same of all other programs, on the cores of this process
    images: int
    dropped: int
    latencies_ms: tuple[float, ...]
    ages_s: tuple[float, ...]  # of the common feature of each mask
    ages_frames: tuple[int, ...]
    encode_ms: tuple[float, ...]  # of each keyframe, beside the frames

    @property
    def masks(self) -> int:
        return len(self.latencies_ms)

    @property
    def keyframes(self) -> int:
        return len(self.encode_ms)

    @property
    def dropped_share(self) -> float:
        return self.dropped / self.images if self.images else 0.0


@dataclass(frozen=True)
class Measured:
    """A model on this machine. drive: under the schedule that was chosen by the costs"""

    job: Job
    backend: str  # that `auto` stood for, likewise the next two
    device: str
    precision: str
    mode: Mode
    network_size: tuple[int, int]  # (H, W)
    costs: Costs
    schedule: Schedule
    drive: Drive
    resident_mb: float  # of the process, without the measurement's images and without ROS


@dataclass(frozen=True)
class Row:
    """A model of the plan. load: share of all cores, with ROS; reasons: why it does not fit, empty where it
    does; remedies: what would make it fit"""

    model: str
    measured: Measured
    load: float
    accuracy: Accuracy
    reasons: tuple[str, ...]
    remedies: tuple[str, ...]

    @property
    def fits(self) -> bool:
        return not self.reasons
