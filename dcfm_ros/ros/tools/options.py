# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Options of `dcfm demo` and `soak`. Without ROS and heavy libraries, so that help texts are quick."""

from __future__ import annotations

from dataclasses import dataclass

from dcfm_ros.pipeline.settings import MAX_SIDE, Mode, NetworkSettings, PipelineConfig
from dcfm_ros.setting_fields import check, choices_of, like, setting
from dcfm_ros.sources.source_kinds import source_forms
from dcfm_ros.viewer.target import DESCRIPTION, check_target

_SOURCE = f"where images come from: {source_forms()}"


@dataclass(frozen=True)
class DemoOptions:
    """Options of a demo run."""

    source: str = setting("synthetic", _SOURCE)
    labels: str | None = setting(
        None, "folder of <image stem>.png with class ids, for a folder of images", metavar="FOLDER"
    )
    rate_hz: float = setting(15.0, "images per second", above=0, option="--rate")
    seconds: float = setting(
        20.0, "length of synthetic video; files are played to their end", above=0, unit="seconds"
    )
    out: str = setting("out/demo", "folder for report, video and pictures", metavar="FOLDER")
    model: str = like(NetworkSettings, "model")
    backend: str = like(NetworkSettings, "backend")
    precision: str = like(NetworkSettings, "precision")
    mode: str = like(PipelineConfig, "mode", Mode.ASYNC.value, choices=choices_of(PipelineConfig, "mode"))
    viewer: str = setting("", DESCRIPTION)

    def __post_init__(self):
        check(self)
        if self.viewer:
            check_target(self.viewer)


@dataclass(frozen=True)
class SoakOptions:
    """Options of a soak run: the load on the segmenter, and its duration."""

    source: str = setting("synthetic", _SOURCE)
    camera: tuple[int, int] = setting(
        (360, 480), "size of the cameras' images", low=32, high=MAX_SIDE, unit="pixels"
    )
    encoding: str = setting("bgr8", "encoding of the cameras' images", choices=("rgb8", "bgr8", "mono8"))
    rate_hz: float = setting(
        15.0,
        "images per second of each camera",
        low=0.1,
        high=1000,
        unit="images per second",
        option="--rate",
    )
    cameras: int = setting(1, "number of cameras", low=1, high=16, metavar="N")
    seconds: float = setting(60.0, "duration of the run", low=5, high=1_000_000, unit="seconds")
    model: str = like(NetworkSettings, "model")
    backend: str = like(NetworkSettings, "backend")
    precision: str = like(NetworkSettings, "precision")
    mode: str = like(PipelineConfig, "mode", Mode.ASYNC.value, choices=choices_of(PipelineConfig, "mode"))
    parameters: tuple[str, ...] = setting(
        (),
        "a parameter of the segmenter, as in max_interval:=5; may be repeated",
        option="--set",
        repeat=True,
        metavar="NAME:=VALUE",
    )

    def __post_init__(self):
        check(self)
        if wrong := [text for text in self.parameters if ":=" not in text]:
            raise ValueError(f"--set {wrong[0]}: write it as name:=value")
