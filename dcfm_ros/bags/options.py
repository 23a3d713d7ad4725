# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Options of a pass over a recording."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dcfm_ros.pipeline.settings import (
    AksScore,
    Alignment,
    Mode,
    NetworkSettings,
    PipelineConfig,
    SchedulerConfig,
)
from dcfm_ros.setting_fields import check, choices_of, like, setting
from dcfm_ros.sources.source_kinds import source_forms
from dcfm_ros.viewer.target import DESCRIPTION, check_target

STORAGE_IDS = ("sqlite3", "mcap")  # of rosbags.rosbag2.StoragePlugin, which is slow to load
COMPRESSIONS = ("zstd", "none")
_MODES = (Mode.SYNC.value, Mode.TWO_SIDED.value)
_TOPIC = re.compile(r"(/[A-Za-z_][A-Za-z0-9_]*)+")  # as ROS has full names
_TOPIC_LENGTH = 247


@dataclass(frozen=True)
class ReplayOptions:
    """Options that select a recording and how its masks are computed."""

    bag: str = setting(description="the recording", hidden=True)
    out: str = setting("", "folder to write", metavar="FOLDER")
    topics: tuple[str, ...] = setting(
        (),
        "image topic of a camera; may be repeated; default: all that look like cameras",
        option="--topic",
        repeat=True,
        metavar="TOPIC",
    )
    model: str = like(NetworkSettings, "model")
    backend: str = like(NetworkSettings, "backend")
    precision: str = like(NetworkSettings, "precision")
    mode: str = setting(Mode.SYNC.value, f"when a keyframe's deep result is used: {_MODES[0]} or {_MODES[1]}")
    alignment: str = like(
        PipelineConfig, "alignment", Alignment.FLOW.value, choices=choices_of(PipelineConfig, "alignment")
    )
    aks_score: str = like(
        SchedulerConfig, "aks_score", AksScore.AUTO.value, choices=choices_of(SchedulerConfig, "aks_score")
    )
    min_interval: int = like(SchedulerConfig, "min_interval")
    max_interval: int = like(SchedulerConfig, "max_interval")
    threshold: float = like(SchedulerConfig, "threshold")
    cut_threshold: float = like(SchedulerConfig, "cut_threshold")
    viewer: str = setting("", DESCRIPTION)

    def __post_init__(self):
        check(self)
        if self.mode not in _MODES:
            raise ValueError(
                f"mode {self.mode!r}: use {_MODES[0]} or {_MODES[1]}; to see mode async play the recording "
                "to the live node"
            )
        if self.viewer:
            check_target(self.viewer)
        self.config  # refuses what the scheduler refuses  # noqa: B018

    @property
    def config(self) -> PipelineConfig:
        config = PipelineConfig(
            Mode(self.mode),
            SchedulerConfig(
                self.min_interval,
                self.max_interval,
                self.threshold,
                self.cut_threshold,
                AksScore(self.aks_score),
            ),
            alignment=Alignment(self.alignment),
        )
        return replace(config, scheduler=config.scheduler.resolved(config.alignment))


@dataclass(frozen=True)
class BagEvaluateOptions(ReplayOptions):
    """Options of `dcfm bag evaluate`. An empty `out` means out/<name of the recording>."""

    out: str = like(
        ReplayOptions,
        "out",
        description="folder for report.json and report.html; default: out/<name of the recording>; of "
        "several recordings one for all, out/bags",
    )
    labels: tuple[str, ...] = setting(
        (),
        "class ids: a topic for each camera in their order, or one folder of <stamp in ns>.png; may be "
        "repeated",
        repeat=True,
        metavar="TOPIC|FOLDER",
    )
    per_frame: bool = setting(True, "the run in which every frame is a keyframe, to compare with")
    page: bool = setting(True, "report.html")
    video_s: float = setting(
        60.0,
        "so much of the recording side by side in report.html; 0: none",
        low=0,
        high=3600,
        unit="seconds",
        option="--video",
        metavar="SECONDS",
    )

    @property
    def folder(self) -> Path:
        return Path(self.out) if self.out else Path("out") / bag_name(self.bag)


@dataclass(frozen=True)
class BagSegmentOptions(ReplayOptions):
    """Options of `dcfm bag segment`."""

    out: str = like(
        ReplayOptions,
        "out",
        description="folder of the new recording; of several recordings a folder for all",
        option="-o --out",
        required=True,
    )
    all_topics: bool = setting(False, "copy the original messages as well", option="--all")
    storage: str = setting("mcap", "storage of the output", choices=STORAGE_IDS)
    compression: str = setting(
        "", "compression of the output; default: zstd for mcap, none for sqlite3", choices=("", *COMPRESSIONS)
    )
    part_images: int = setting(
        600,
        "masks per file of the output: the most that a crash can lose",
        low=1,
        high=1_000_000,
        option="--part",
        metavar="IMAGES",
    )

    def __post_init__(self):
        super().__post_init__()
        if not self.compression:
            object.__setattr__(self, "compression", "zstd" if self.storage == "mcap" else "none")


@dataclass(frozen=True)
class FleetOptions:
    """Options for several recordings: which, and how many workers process them."""

    bags: tuple[str, ...] = setting(
        description="folder with metadata.yaml, or file .mcap or .db3; or several, folders that hold some, "
        "globs",
        positional=True,
        metavar="BAG",
    )
    out: str = setting("out/bags", "folder of the results, one for each recording in it")
    workers: int | None = setting(
        None, "recordings at a time; default: 1, on Ray one for each machine", low=1, high=10_000, metavar="N"
    )
    ray: str = setting(
        "", "address of a Ray cluster, as `ray start --head` printed it; auto; local", metavar="ADDRESS"
    )

    def __post_init__(self):
        check(self)
        if not self.bags:
            raise ValueError("no recording: give at least one")


@dataclass(frozen=True)
class MakeOptions:
    """Options of `dcfm bag make`."""

    source: str = setting(
        description=f"where images come from: {source_forms()}; labels/ beside images/ is taken, too",
        positional=True,
    )
    out: str = setting(description="folder to write", positional=True)
    labels: str | None = setting(
        None, "folder of <image stem>.png with class ids, for a folder of images", metavar="FOLDER"
    )
    rate_hz: float | None = setting(
        None,
        "images per second; default: a video file's own times, 15 of images",
        low=0.1,  # as the camera node has them
        high=1000,
        unit="images per second",
        option="--rate",
    )
    frames: int | None = setting(
        None, "at most so many; default: all of a file, 300 of an endless source", low=1
    )
    storage: str = setting("mcap", "storage of the recording", choices=STORAGE_IDS)
    image_topic: str = setting("/camera/image_raw", "topic of the images", metavar="TOPIC")
    label_topic: str = setting("/camera/label", "topic of the labels", metavar="TOPIC")
    frame_id: str = setting("camera_optical_frame", "frame_id of the headers")

    def __post_init__(self):
        check(self)
        for what, topic in (("image", self.image_topic), ("label", self.label_topic)):
            if not _TOPIC.fullmatch(topic) or len(topic) > _TOPIC_LENGTH:
                raise ValueError(
                    f"{what} topic {topic!r} is no full name of ROS: give letters, digits and underscores "
                    f"after each /, no digit first, {_TOPIC_LENGTH} characters at most, as in "
                    "/camera/image_raw"
                )
        if self.image_topic == self.label_topic:
            raise ValueError(
                f"image topic and label topic are both {self.image_topic}: give labels a topic of their own"
            )


@dataclass(frozen=True)
class FramesOptions:
    """Options of `dcfm bag frames`."""

    recordings: tuple[str, ...] = setting(
        description="recording (folder with metadata.yaml, file .mcap or .db3), video file or folder of "
        "images; or several, folders that hold recordings, globs",
        positional=True,
        metavar="RECORDING",
    )
    out: str = setting("", "folder to write", metavar="FOLDER", required=True)
    frames: int = setting(200, "frames to choose", low=1, high=10_000, option="-n --frames")
    topics: tuple[str, ...] = like(ReplayOptions, "topics")
    every_s: float = setting(
        0.5,
        "one frame of so much time, its sharpest, may be chosen",
        low=0.02,
        high=3600,
        unit="seconds",
        option="--every",
        metavar="SECONDS",
    )
    neighbours: int = setting(
        4, "frames before and after each, kept beside it for training, not to be labelled", low=0, high=100
    )
    classes: str = setting(
        "",
        "classes.yaml of the classes to label with; masks of the model's classes of the same names become "
        "pre-labels; default: the model's",
        metavar="FILE",
    )
    class_map: str = like(
        NetworkSettings,
        "class_map",
        description="class map that makes the classes to label with of the model's: a YAML file or the "
        "name of one that comes with the package",
        metavar="MAP",
    )
    model: str = like(NetworkSettings, "model")
    backend: str = like(NetworkSettings, "backend")
    precision: str = like(NetworkSettings, "precision")
    rate_hz: float | None = setting(
        None,
        "images per second of folders of images and video files; default: a video file's own times, 15 of "
        "images; 1 for stills",
        low=0.001,
        high=1000,
        unit="images per second",
        option="--rate",
    )
    image_format: str = setting(
        "jpg", "format of the images, jpg of quality 95", choices=("jpg", "png"), option="--format"
    )

    def __post_init__(self):
        check(self)
        if not self.recordings:
            raise ValueError("no recording: give at least one")
        if not self.out:
            raise ValueError("no output: give a folder with --out")
        if self.classes and self.class_map:
            raise ValueError("--classes and --class-map both say which classes there are: give one of them")


def scheduling(config: PipelineConfig) -> dict[str, Any]:
    """Return the scheduling settings under the names used in reports and unfinished outputs."""
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
    """Return the recording's name: that of its folder, or of its file without the suffix."""
    path = Path(bag).resolve()
    return path.name if path.is_dir() else path.stem
