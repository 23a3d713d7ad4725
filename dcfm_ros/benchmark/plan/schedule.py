# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From costs to keyframes: the model of the load, and the schedule that stays within a share of it.

Processor seconds per second = frames per second x (frame + ROS) + keyframes per second x keyframe, over all
cores and cameras.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from dcfm_ros.benchmark.plan.age_curve import OLDEST_S
from dcfm_ros.pipeline.settings import SchedulerConfig

MARGIN = 0.95  # of the share is planned with: costs are measured to some per cent
_ENCODER_MARGIN = 0.9  # of the keyframes that the encoder can make, one after the other
_AS_GOOD_AS_ALL = 0.97  # of the frames encoded: what lacks is how the measurement began and ended


@dataclass(frozen=True)
class Wish:
    """What is to be served. share: of all `cores` together"""

    rate_hz: float  # of each camera
    cameras: int
    cores: int
    share: float

    @property
    def frames_hz(self) -> float:
        """Of all cameras."""
        return self.rate_hz * self.cameras

    @property
    def capacity(self) -> float:
        """Processor seconds per second."""
        return self.share * self.cores

    @property
    def longest_interval(self) -> int:
        """Frames between two keyframes of a camera, at most: features get no older than was ever measured."""
        return max(1, math.floor(self.rate_hz * OLDEST_S + 1e-9))


@dataclass(frozen=True)
class Costs:
    """Processor seconds, of all threads. encoder_hz: keyframes per second with keyframes all the time, as
    measured beside frames."""

    frame_s: float
    keyframe_s: float
    encoder_hz: float
    ros_s: float = 0.0  # per frame, beside `frame_s`
    per_frame: bool = False  # the whole network on every frame: there are no keyframes

    def load(self, wish: Wish, keyframe_hz: float) -> float:
        """Processor seconds per second."""
        keyframes = 0.0 if self.per_frame else keyframe_hz * self.keyframe_s
        return wish.frames_hz * (self.frame_s + self.ros_s) + keyframes


@dataclass(frozen=True)
class Schedule:
    """Keyframes of a plan. keyframe_hz: of all cameras together, at most"""

    scheduler: SchedulerConfig
    keyframe_hz: float


def schedule_for(wish: Wish, costs: Costs) -> Schedule:
    """As many keyframes as the share allows, so that features are as young as it allows. Never fewer than
    `wish.longest_interval` asks for: whether those fit is for `verdict` to say."""
    frames_hz, interval = wish.frames_hz, 1
    if costs.per_frame:
        return Schedule(SchedulerConfig(), frames_hz)
    keyframe_hz = min(frames_hz, _affordable_hz(wish, costs), _encodable_hz(wish, costs))
    keyframe_hz = math.floor(100 * keyframe_hz + 1e-6) / 100  # as it stands in the parameters file
    if keyframe_hz < frames_hz - 0.01:
        interval = wish.longest_interval
        if keyframe_hz * interval >= frames_hz:
            interval = math.ceil(frames_hz / keyframe_hz - 1e-9)
        else:
            keyframe_hz = math.ceil(100 * frames_hz / interval) / 100
    # AKS may ask for a keyframe sooner; the budget bounds how often
    least = max(1, min(SchedulerConfig.min_interval, interval - 1))
    # no bound where each frame can be a keyframe: a camera that runs a little fast would only exceed it
    bound = 0.0 if interval == 1 else keyframe_hz
    return Schedule(
        SchedulerConfig(min_interval=least, max_interval=interval, keyframe_budget_hz=bound),
        min(keyframe_hz, frames_hz),
    )


def _affordable_hz(wish: Wish, costs: Costs) -> float:
    spare = MARGIN * wish.capacity - costs.load(wish, 0.0)
    return max(0.0, spare) / costs.keyframe_s if costs.keyframe_s > 0 else math.inf


def _encodable_hz(wish: Wish, costs: Costs) -> float:
    if costs.encoder_hz >= _AS_GOOD_AS_ALL * wish.frames_hz:
        return math.inf
    return _ENCODER_MARGIN * costs.encoder_hz
