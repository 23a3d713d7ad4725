# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Options of `dcfm distil`. Standard library only, so that help texts are quick."""

from __future__ import annotations

from dataclasses import dataclass

from dcfm_ros.pipeline.settings import NetworkSettings
from dcfm_ros.setting_fields import check, like, setting
from dcfm_ros.sources.data_sets import CLASS_TABLES

CONFIGURATION = "distil.yaml"  # in config/train


@dataclass(frozen=True)
class LabellingOptions:
    """Which frames the teacher labels, and how."""

    teacher: str = setting(
        description="model folder, checkpoint that `dcfm import` reads, or ONNX file (logits or class ids)",
        metavar="MODEL",
    )
    data: tuple[str, ...] = setting(
        description="recordings, videos, folders of images or data sets (their split train); labels are not "
        "used. May be several",
        several=True,
        metavar="PATH",
    )
    out: str = setting(description="folder for soft labels, checkpoints and log", metavar="FOLDER")
    student: str = setting(
        "",
        "model from which training starts (name or folder); default: the teacher's encoder and fusion",
        metavar="MODEL",
    )
    class_map: str = like(
        NetworkSettings,
        "class_map",
        description="class map by which the teacher's classes are merged, renamed or dropped: a YAML file or "
        "the name of one that comes with the package",
        metavar="MAP",
    )
    classes: str = setting(
        "",
        f"classes of an ONNX file: {', '.join(CLASS_TABLES)}, or a file like classes.yaml of a data set",
        metavar="TABLE",
    )
    mean: tuple[float, ...] = setting(
        (0.485, 0.456, 0.406),
        "mean of RGB / 255 by which an ONNX file's images are normalised",
        low=0,
        high=1,
        option="--teacher-mean",
    )
    std: tuple[float, ...] = setting(
        (0.229, 0.224, 0.225), "and their standard deviation", above=0, high=10, option="--teacher-std"
    )
    topics: tuple[str, ...] = setting(
        (),
        "image topic of recordings; may be repeated; default: all that look like cameras",
        option="--topic",
        repeat=True,
        metavar="TOPIC",
    )
    frames: int = setting(1200, "frames that the teacher labels, spread evenly over all data", low=8)
    radius: int = setting(12, "frames of a pair are at most so far apart", low=1, high=100, unit="frames")
    stills: bool = setting(
        False, "images of the data do not follow one another: each gets a neighbour by a virtual motion"
    )
    movable: tuple[str, ...] = setting(
        (), "of stills: classes that may be cut out and pasted into others as moving things"
    )
    held_out: float = setting(
        0.1, "share of the data kept for validation, the last part of each video", low=0, high=0.5
    )
    seed: int = setting(0, "seed of all random numbers", low=0)

    def __post_init__(self):
        check(self)
        if not self.data:
            raise ValueError("no data: give at least one recording, video or folder")
        for name, values in (("teacher-mean", self.mean), ("teacher-std", self.std)):
            if len(values) != 3:
                raise ValueError(f"--{name} has {len(values)} values: give three, of red, green and blue")


@dataclass(frozen=True)
class DistilTraining:
    """How the student learns from the soft labels."""

    config: str = setting(
        "", f"training configuration (YAML); default: config/train/{CONFIGURATION}", metavar="FILE"
    )
    changes: tuple[str, ...] = setting(
        (),
        "another value than the configuration's, as in data.aligned=0; may be repeated",
        option="--set",
        repeat=True,
        metavar="SETTING=VALUE",
    )
    minutes: float | None = setting(
        None, "time for everything: the training gets as long as labelling leaves", above=0, metavar="N"
    )
    labelled: str = setting(
        "", "data set with labels (its split val), on which teacher and student are compared", metavar="PATH"
    )
    resume: bool = setting(False, "go on where labelling or training was stopped")
    device: str = like(NetworkSettings, "device", description="auto, cpu, cuda or cuda:N")
    workers: int | None = setting(
        None, "processes that prepare batches, by default one per core, 8 at most; 0: none", metavar="N"
    )

    def __post_init__(self):
        check(self)
