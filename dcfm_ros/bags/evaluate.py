# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm bag evaluate`: how good, how fast and how steady the live node's masks are on a recording."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dcfm_ros.bags.options import ReplayOptions
from dcfm_ros.bags.reading import open_bag
from dcfm_ros.bags.report import bag_report
from dcfm_ros.bags.run import Run
from dcfm_ros.bags.topics import choose_cameras
from dcfm_ros.bags.writing import WriteError, told, write_text
from dcfm_ros.evaluation.output_folder import output_folder
from dcfm_ros.evaluation.tally import Tally, tally_report
from dcfm_ros.model.folder import load_model


@dataclass(frozen=True)
class BagEvaluateOptions(ReplayOptions):
    """What to evaluate, and how. Where `out` is empty it is out/<name of the recording>."""

    labels: tuple[str, ...] = ()     # a topic for each camera, or one folder
    per_frame: bool = True           # compare with a run in which every frame is a keyframe
    page: bool = True                # write report.html
    video_s: float = 60.0            # of the recording, side by side in the page; 0 for none

    def __post_init__(self):
        super().__post_init__()
        if not 0 <= self.video_s <= 3600:
            raise ValueError(f"video_s {self.video_s:g}: use 0 to 3600 seconds")

    @property
    def folder(self) -> Path:
        return Path(self.out) if self.out else Path("out") / bag_name(self.bag)


@dataclass
class BagResult:
    """One recording's figures: `report` as report.json holds it, `tallies` as they add up to those of several recordings."""

    report: dict
    tallies: list[Tally]
    class_names: tuple[str, ...]

    @property
    def rows(self) -> list[dict]:
        return [tally_report(tally, self.class_names) for tally in self.tallies]

    def merge(self, other: BagResult) -> None:
        """Add the figures of another recording, which comes after this one; `report` stays this one's."""
        if [(t.name, t.classes) for t in self.tallies] != [(t.name, t.classes) for t in other.tallies]:
            raise ValueError("recordings evaluated with other models or other rows cannot be added up")
        for mine, theirs in zip(self.tallies, other.tallies):
            mine.merge(theirs)


def bag_name(bag: str | Path) -> str:
    """The recording's name: its folder's, or its file's without the ending."""
    path = Path(bag).resolve()
    return path.name if path.is_dir() else path.stem


def evaluate_bag(options: BagEvaluateOptions, on_frame: Callable[[], object] = lambda: None,
                 on_start: Callable[[int], object] = lambda images: None) -> BagResult:
    """Evaluate one recording; writes report.json, and report.html if asked for, into `options.folder`.

    on_start is called with the number of images, on_frame after each.
    """
    model, out = load_model(options.model), options.folder
    try:
        with open_bag(options.bag) as bag:
            cameras = choose_cameras(bag, options.topics, options.labels)
            output_folder(out)
            on_start(sum(camera.topic.count for camera in cameras))
            with Run(options, bag, cameras, model, out) as run:
                run.all(on_frame)
                result = BagResult(bag_report(run, options, model.config), run.tallies, model.config.class_names)
                with told(out):
                    write_text(out / "report.json", json.dumps(result.report, indent=2) + "\n")
                run.gallery.write(result.report)
                return result
    except WriteError as error:
        raise WriteError(f"{error}, or give another folder with --out") from error
