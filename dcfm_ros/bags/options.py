# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a pass over a recording is asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dcfm_ros.pipeline.settings import (
    DEFAULT_MODEL,
    AksScore,
    Alignment,
    Mode,
    PipelineConfig,
    SchedulerConfig,
)
from dcfm_ros.viewer.viewer import check_target


@dataclass(frozen=True)
class ReplayOptions:
    """Which recording, and how its masks are made."""

    bag: str
    out: str = ""  # folder to write
    topics: tuple[str, ...] = ()  # of cameras; () for all that look like one
    model: str = DEFAULT_MODEL
    backend: str = "auto"
    precision: str = "auto"
    mode: str = "sync"  # or two_sided
    alignment: str = Alignment.FLOW.value
    aks_score: str = AksScore.AUTO.value
    min_interval: int = SchedulerConfig.min_interval
    max_interval: int = SchedulerConfig.max_interval
    threshold: float = SchedulerConfig.threshold
    cut_threshold: float = SchedulerConfig.cut_threshold
    viewer: str = ""  # rerun, rerun:web, or FILE.rrd

    def __post_init__(self):
        if self.mode not in (Mode.SYNC.value, Mode.TWO_SIDED.value):
            raise ValueError(
                f"mode {self.mode!r}: use {Mode.SYNC.value} or {Mode.TWO_SIDED.value}; to see mode async "
                f"play the "
                "recording to the live node"
            )
        if self.viewer:
            check_target(self.viewer)
        self.config  # refuses what the scheduler refuses  # noqa: B018

    @property
    def config(self) -> PipelineConfig:
        config = PipelineConfig(
            Mode(self.mode),
            SchedulerConfig(
                self.min_interval, self.max_interval, self.threshold, self.cut_threshold, self.aks_score
            ),
            alignment=self.alignment,
        )
        return replace(config, scheduler=config.scheduler.resolved(config.alignment))


@dataclass(frozen=True)
class BagEvaluateOptions(ReplayOptions):
    """What to evaluate, and how. Where `out` is empty it is out/<name of the recording>."""

    labels: tuple[str, ...] = ()  # a topic for each camera, or one folder
    per_frame: bool = True  # compare with a run in which every frame is a keyframe
    page: bool = True  # write report.html
    video_s: float = 60.0  # of the recording, side by side in the page; 0 for none

    def __post_init__(self):
        super().__post_init__()
        if not 0 <= self.video_s <= 3600:
            raise ValueError(f"video_s {self.video_s:g}: use 0 to 3600 seconds")

    @property
    def folder(self) -> Path:
        return Path(self.out) if self.out else Path("out") / bag_name(self.bag)


def scheduling(config: PipelineConfig) -> dict[str, Any]:
    """Which frames become keyframes and what becomes of their features, as reports and unfinished outputs
    name it."""
    scheduler = config.scheduler
    return {
        "alignment": config.alignment.value,
        "aks_score": scheduler.aks_score.value,
        **{
            name: getattr(scheduler, name)
            for name in ("min_interval", "max_interval", "threshold", "cut_threshold")
        },
    }


def bag_name(bag: str | Path) -> str:
    """The recording's name: its folder's, or its file's without the ending."""
    path = Path(bag).resolve()
    return path.name if path.is_dir() else path.stem
