# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm bag evaluate`: measures accuracy, speed and temporal consistency of the live node's masks on a
recording."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from dcfm_ros.bags.options import BagEvaluateOptions
from dcfm_ros.bags.reading import open_bag
from dcfm_ros.bags.report import bag_report
from dcfm_ros.bags.run import EvaluationRun
from dcfm_ros.bags.topics import choose_cameras
from dcfm_ros.bags.writing import WriteError, write_errors_for
from dcfm_ros.evaluation.tally import Tally, tally_report
from dcfm_ros.files import atomic_write, output_folder
from dcfm_ros.model.stored import StoredModel


@dataclass
class BagResult:
    """Results of one recording: `report` is the content of report.json; `tallies` can be merged across
    recordings."""

    report: dict
    tallies: list[Tally]
    class_names: tuple[str, ...]

    @property
    def rows(self) -> list[dict]:
        """The rows of the report, from the tallies."""
        return [tally_report(tally, self.class_names) for tally in self.tallies]

    def merge(self, other: BagResult) -> None:
        """Add the tallies of a later recording; `report` stays that of this one."""
        if [(t.name, t.classes) for t in self.tallies] != [(t.name, t.classes) for t in other.tallies]:
            raise ValueError("recordings evaluated with different models or rows cannot be merged")
        for mine, theirs in zip(self.tallies, other.tallies):
            mine.merge(theirs)


def evaluate_bag(
    options: BagEvaluateOptions,
    on_frame: Callable[[], object] = lambda: None,
    on_start: Callable[[int], object] = lambda images: None,
) -> BagResult:
    """Evaluate one recording; write report.json, and report.html if requested, into `options.folder`.

    on_start is called with the number of images, on_frame after each.
    """
    model, out = StoredModel(options.model), options.folder
    try:
        with open_bag(options.bag) as bag:
            cameras = choose_cameras(bag, options.topics, options.labels)
            output_folder(out)
            on_start(sum(camera.topic.count for camera in cameras))
            with EvaluationRun(options, bag, cameras, model, out) as run:
                run.run(on_frame)
                result = BagResult(
                    bag_report(run, options, model.config), run.tallies, model.config.class_names
                )
                with write_errors_for(out):
                    atomic_write(out / "report.json", json.dumps(result.report, indent=2) + "\n")
                run.page.write(result.report)
                return result
    except WriteError as error:
        raise WriteError(f"{error}, or give another folder with --out") from error
