# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Options of `dcfm evaluate`, `calibrate` and `segment`. Without heavy libraries, so that help texts are
quick."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dcfm_ros.evaluation.schedule import ALIGNMENTS, ASYNC, MODES, NONE, Schedule
from dcfm_ros.pipeline.settings import Alignment, Mode, NetworkSettings, PipelineConfig, SchedulerConfig
from dcfm_ros.setting_fields import check, choices_of, like, setting
from dcfm_ros.sources.data_sets import KINDS
from dcfm_ros.sources.source_kinds import source_forms

VIDEO = "video"  # for calibrate: no data set
AKS_SPREAD = (0.5, 0.75, 1.0, 1.25, 1.5, 2.0)  # times the shipped threshold of each score


def parse_thresholds(text: str) -> tuple[float, ...] | None:
    """`default`, `none`, or numbers with commas between them."""
    if text in ("default", "none"):
        return None if text == "default" else ()
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"{text!r}: give numbers with commas between them, default or none") from None


@dataclass(frozen=True)
class SegmentOptions:
    """What to segment, and with what."""

    source: str = setting(description=f"where images come from: {source_forms()}", positional=True)
    labels: str | None = setting(
        None, "folder of <image stem>.png with class ids, for a folder of images", metavar="FOLDER"
    )
    out: str = setting("out/segment", "folder for masks and overlay.mp4", metavar="FOLDER")
    model: str = like(NetworkSettings, "model")
    backend: str = like(NetworkSettings, "backend")
    precision: str = like(NetworkSettings, "precision")
    mode: str = like(PipelineConfig, "mode", Mode.SYNC.value, choices=choices_of(PipelineConfig, "mode"))
    frames: int = setting(300, "frames of synthetic video", low=1)
    rate_hz: float | None = setting(
        None, "images per second; default: a video file's own, 15 of images", above=0, option="--rate"
    )
    class_map: str = like(NetworkSettings, "class_map", metavar="MAP")

    def __post_init__(self):
        check(self)


@dataclass(frozen=True)
class EvaluateOptions:
    """What to evaluate, and how."""

    source: str = setting(
        description="folder of a data set, or synthetic:SEED or synthetic:FIRST-LAST", positional=True
    )
    model: str = like(NetworkSettings, "model")
    split: str = setting("val", "split of the data set")
    kind: str = setting("auto", "kind of data set; auto tells it by its layout", choices=KINDS)
    modes: tuple[str, ...] = setting(MODES, "when keyframes serve", choices=MODES)
    intervals: tuple[int, ...] = setting((1, 2, 4, 6, 8), "fixed intervals K, frames")
    alignments: tuple[str, ...] = setting(
        tuple(ALIGNMENTS),
        "what masks take from keyframes: flow (common features moved along), none (as published), logits "
        "(their logits moved along)",
        choices=tuple(ALIGNMENTS),
    )
    thresholds: tuple[float, ...] | None = setting(
        None,
        "thresholds of adaptive keyframes; default: spreads around the shipped ones; none",
        above=0,
        high=10,
        option="--aks",
        metavar="THRESHOLD,...",
        parse=parse_thresholds,
    )
    delays: tuple[int, ...] = setting((1, 2, 4), "delays of mode async, frames")
    min_interval: int = like(SchedulerConfig, "min_interval")
    max_interval: int = like(SchedulerConfig, "max_interval")
    max_age: int = setting(10, "of the curve by age of the common feature", low=0, high=1000, unit="frames")
    per_frame: str | None = setting(None, "also evaluate this per-frame model, as reference", metavar="MODEL")
    backend: str = like(NetworkSettings, "backend")
    precision: str = like(NetworkSettings, "precision")
    device: str = like(NetworkSettings, "device")
    exact_size: bool = setting(
        False,
        "network input of just the model's size, as in published evaluations; else as live, in multiples of "
        "32",
    )
    limit_clips: int | None = setting(None, "only the first N clips", low=1, metavar="N")
    class_map: str = like(
        NetworkSettings,
        "class_map",
        description="class map by which labels and masks are merged or renamed first: a YAML file or the "
        "name of one that comes with the package",
        metavar="MAP",
    )
    memory_gb: float = setting(
        4.0, "memory for features of a clip; less costs time", above=0, unit="gigabytes"
    )
    fps: bool = setting(False, "measure times, too")
    out: str = setting(
        "out/evaluate", "folder for report.json and plots; '' for none", metavar="FOLDER", may_be_empty=True
    )

    def __post_init__(self):
        check(self)
        if not self.modes:
            raise ValueError(f"no mode: give at least one of {', '.join(MODES)}")
        if not self.alignments:
            raise ValueError(f"no alignment: give at least one of {', '.join(ALIGNMENTS)}")
        if not self.intervals and self.thresholds == ():
            raise ValueError("neither intervals nor AKS thresholds: give at least one")
        if ASYNC in self.modes and not self.delays:
            raise ValueError("mode async without delays: give at least one, or leave the mode out")
        self.schedules()  # refuses what schedules refuse, and so do the schedulers
        for threshold in self.thresholds or ():
            replace(self.scheduler, threshold=threshold)

    def schedules(self) -> list[Schedule]:
        """All rows, by alignment, then by mode, then by rule."""
        modes = [
            (mode, delay)
            for mode in dict.fromkeys(self.modes)
            for delay in (sorted(set(self.delays)) if mode == ASYNC else [0])
        ]
        return [
            schedule
            for way in dict.fromkeys(self.alignments)
            for mode, delay in modes
            for schedule in (
                *(
                    Schedule(mode, interval=interval, delay=delay, alignment=way)
                    for interval in sorted(set(self.intervals))
                ),
                *(
                    Schedule(mode, threshold=threshold, delay=delay, alignment=way)
                    for threshold in self._thresholds(way)
                ),
            )
        ]

    def _thresholds(self, alignment: str) -> list[float]:
        if self.thresholds is not None:
            return sorted(set(self.thresholds))
        shipped = self.scheduler.resolved(Alignment.NONE if alignment == NONE else Alignment.FLOW).threshold
        return [round(factor * shipped, 3) for factor in AKS_SPREAD]

    @property
    def scheduler(self) -> SchedulerConfig:
        """Of AKS; each row puts in its own threshold."""
        return SchedulerConfig(self.min_interval, self.max_interval)


@dataclass(frozen=True)
class CalibrateOptions:
    """Data, wanted rate, bounds of the scheduler."""

    source: str = setting(
        description="recording, folder of a data set, synthetic:SEED, or video file; labels are not needed",
        positional=True,
    )
    keyframe_hz: float = setting(description="wanted keyframes per second", above=0)
    split: str = setting("val", "split of the data set")
    kind: str = setting(
        "auto",
        "kind of data set; auto tells it by its layout; video: a video file, also a folder of images in "
        "order",
        choices=(*KINDS, VIDEO),
    )
    model: str = like(
        NetworkSettings, "model", description="built-in model name or model folder, whose input size is used"
    )
    min_interval: int = like(SchedulerConfig, "min_interval")
    max_interval: int = like(SchedulerConfig, "max_interval")
    alignment: str = like(
        PipelineConfig, "alignment", Alignment.FLOW.value, choices=choices_of(PipelineConfig, "alignment")
    )

    def __post_init__(self):
        check(self)
        self.config  # refuses what the pipeline refuses  # noqa: B018

    @property
    def config(self) -> SchedulerConfig:
        pipeline = PipelineConfig(
            scheduler=SchedulerConfig(self.min_interval, self.max_interval),
            alignment=Alignment(self.alignment),
        )
        return pipeline.scheduler.resolved(pipeline.alignment)
