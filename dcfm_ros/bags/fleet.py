# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm bag evaluate` and `segment` for many recordings: several at a time, on one machine or on a Ray
cluster."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from dcfm_ros.bags.evaluate import BagResult, evaluate_bag
from dcfm_ros.bags.finding import find_bags, output_names, single_bag
from dcfm_ros.bags.options import BagEvaluateOptions, BagSegmentOptions, FleetOptions
from dcfm_ros.bags.ray_workers import RayCluster
from dcfm_ros.bags.segment import segment_bag
from dcfm_ros.bags.workers import Engine, Outcome, Processes, Task
from dcfm_ros.bags.writing import write_errors_for
from dcfm_ros.files import atomic_write, output_folder
from dcfm_ros.model.versions import versions
from dcfm_ros.reports.machine import machine
from dcfm_ros.reports.page.fleet import write_index

# Status of a recording.
DONE, FAILED, EXISTS, UNDONE = "done", "failed", "exists", "not done"
_TRIES = 2  # attempts at a recording that failed for a reason that may pass


@dataclass
class _Entry:
    """One recording of a fleet."""

    name: str  # name of its results
    bag: Path
    job: Any
    status: str = UNDONE
    reason: str = ""
    tries: int = 0
    result: Any = None


def only_bag(fleet: FleetOptions) -> str | None:
    """The recording, where there is just one and it is named itself; None where a fleet is meant."""
    if fleet.workers is not None or fleet.ray or len(fleet.bags) > 1:
        return None
    return single_bag(fleet.bags[0])


def evaluate_fleet(fleet: FleetOptions, options: BagEvaluateOptions) -> dict:
    """Evaluate recordings, each with `options` into its own folder; return the content of summary.json.

    Writes summary.json and index.html into `fleet.out`. The overall figures equal those of a single run over
    the recordings in the order of their names. A recording that fails is reported with its reason and does
    not affect the others. Raises BagError if there is no recording.
    """
    return _Fleet(fleet, options, _evaluate, _evaluation_figures).run()


def segment_fleet(fleet: FleetOptions, options: BagSegmentOptions) -> dict:
    """Segment recordings, each with `options` into `<fleet.out>/<name>`; returns and writes the same as
    `evaluate_fleet`.

    Outputs that exist are left alone; unfinished ones are resumed.
    """
    return _Fleet(fleet, options, _segment, _segmentation_figures).run()


def _evaluate(options: BagEvaluateOptions, on_frames: Callable[[int], None]) -> BagResult:
    return evaluate_bag(options, partial(on_frames, 1))


def _segment(options: BagSegmentOptions, on_frames: Callable[[int], None]) -> dict:
    return segment_bag(options, partial(on_frames, 1))


def _evaluation_figures(entries: list[_Entry]) -> tuple[list[dict], list[dict], int]:
    """Return the figures of each finished recording, the overall figures, and the number of images processed
    in this run."""
    each = []
    for entry in entries:
        report = entry.result.report
        each.append(
            {**_figures(report["rows"][0]), "frames_per_s": report["frames_per_s"], "notes": report["notes"]}
        )
    if not entries:
        return each, [], 0
    merged = deepcopy(entries[0].result)
    for entry in entries[1:]:
        merged.merge(entry.result)
    return each, merged.rows, sum(one["frames"] for one in each)


def _segmentation_figures(entries: list[_Entry]) -> tuple[list[dict], list[dict], int]:
    """Same as `_evaluation_figures`, for segmented recordings."""
    each, images = [], 0
    for entry in entries:
        cameras = entry.result["cameras"]
        frames, keyframes = (sum(camera[what] for camera in cameras) for what in ("masks", "keyframes"))
        each.append(
            {
                "frames": frames,
                "keyframes": keyframes,
                "keyframe_rate": keyframes / frames if frames else None,
                "notes": entry.result["notes"],
            }
        )
        images += sum(camera["images"] for camera in cameras) - entry.result["resumed_at_image"]
    frames, keyframes = (sum(one[what] for one in each) for what in ("frames", "keyframes"))
    rows = [{"frames": frames, "keyframes": keyframes, "keyframe_rate": keyframes / frames}] if frames else []
    return each, rows, images


def _figures(row: dict) -> dict:
    return {
        name: row[name] for name in ("frames", "keyframes", "keyframe_rate", "miou", "steady8", "flicker")
    }


class _Fleet:
    """One run over many recordings."""

    def __init__(self, fleet: FleetOptions, options: Any, task: Task, figures: Callable):
        if options.viewer:
            raise ValueError(
                f"viewer {options.viewer}: it shows a single recording; drop it, or give one recording"
            )
        self._fleet, self._options, self._task, self._figures = fleet, options, task, figures
        self._out = Path(fleet.out).absolute()
        bags = find_bags(fleet.bags, leave_out=self._out)
        self._entries = [
            _Entry(name, bag, self._job(bag, name)) for name, bag in zip(output_names(bags), bags)
        ]
        output_folder(self._out)

    def run(self) -> dict:
        for entry in self._entries:
            if isinstance(entry.job, BagSegmentOptions) and (self._out / entry.name).exists():
                entry.status, entry.reason = EXISTS, "exists already: remove it to recreate it"
        engine, began_s = _engine(self._fleet), time.monotonic()
        try:
            for _ in range(_TRIES):
                self._work(engine, [entry for entry in self._entries if entry.status == UNDONE])
        except KeyboardInterrupt:
            for entry in self._entries:
                entry.reason = entry.reason or "interrupted" * (entry.status == UNDONE)
            raise
        finally:
            engine.close()
            summary = self._summary(time.monotonic() - began_s, engine.workers)
            with write_errors_for(self._out):
                atomic_write(self._out / "summary.json", json.dumps(summary, indent=2) + "\n")
                write_index(self._out / "index.html", summary)
        return summary

    def _job(self, bag: Path, name: str) -> Any:
        """Return the options for one recording, with absolute paths, as workers may have another working
        directory."""
        paths: dict[str, str | tuple[str, ...]] = {
            "bag": str(bag.absolute()),
            "out": str(self._out / name),
            "model": _absolute(self._options.model),
        }
        if hasattr(self._options, "labels"):
            paths["labels"] = tuple(map(_absolute, self._options.labels))
        return replace(self._options, **paths)

    def _work(self, engine: Engine, entries: list[_Entry]) -> None:
        """Try these recordings once. Those that may succeed on a retry stay UNDONE, as long as retries are
        left."""
        if not entries:
            return
        with _Bar(len(entries)) as bar:

            def done(index: int, outcome: Outcome) -> None:
                entry = entries[index]
                entry.tries += 1
                bar.done(self._note(entry, outcome))

            engine.run(self._task, [entry.job for entry in entries], done, bar.frames)

    def _note(self, entry: _Entry, outcome: Outcome) -> str:
        """Record the outcome of a recording; return a line to print, or ""."""
        if not outcome.failure:
            entry.status, entry.reason, entry.result = DONE, "", outcome.result
            return ""
        again = outcome.transient and entry.tries < _TRIES
        entry.status, entry.reason = UNDONE if again else FAILED, outcome.failure
        return f"{outcome.trace}{entry.name}: {outcome.failure}{' (will be retried at the end)' * again}"

    def _summary(self, wall_s: float, workers: int) -> dict:
        finished = [entry for entry in self._entries if entry.status == DONE]
        each, rows, images = self._figures(finished)
        figures = {entry.name: figures for entry, figures in zip(finished, each)}
        first = finished[0].result if finished else None
        return {
            "command": "evaluate" if isinstance(self._options, BagEvaluateOptions) else "segment",
            "bags": [
                {
                    "name": entry.name,
                    "path": str(entry.bag),
                    "status": entry.status,
                    "reason": entry.reason,
                    "tries": entry.tries,
                    "page": self._page(entry),
                    **figures.get(entry.name, {}),
                }
                for entry in self._entries
            ],
            "counts": dict(Counter(entry.status for entry in self._entries)),
            "rows": rows,
            "frames_per_s": round(images / wall_s, 2) if images else None,
            "seconds": round(wall_s, 1),
            "workers": workers,
            "ray": self._fleet.ray,
            "model": _report(first).get("model"),
            "options": {**asdict(self._options), **asdict(self._fleet)},
            "versions": versions(),
            "machine": machine(),
        }

    def _page(self, entry: _Entry) -> str | None:
        """Return the file of the recording's results to open first, relative to `out`; None if there is
        none."""
        for file in (
            ("report.html", "report.json") if getattr(self._options, "page", False) else ("report.json",)
        ):
            if entry.status == DONE and (self._out / entry.name / file).is_file():
                return f"{entry.name}/{file}"
        return None


def _engine(fleet: FleetOptions) -> Engine:
    return RayCluster(fleet.ray, fleet.workers) if fleet.ray else Processes(fleet.workers or 1)


def _absolute(name: str) -> str:
    """Return the absolute path if this names a folder, otherwise the name unchanged."""
    return str(Path(name).absolute()) if Path(name).is_dir() else name


def _report(result: BagResult | dict | None) -> dict:
    return result.report if isinstance(result, BagResult) else result or {}


class _Bar:
    """Progress bar: recordings, and frames if workers report them."""

    def __init__(self, recordings: int):
        self._bar, self._frames = tqdm(total=recordings, unit="recording", disable=None), 0

    def frames(self, more: int) -> None:
        self._frames += more
        self._bar.set_postfix_str(f"{self._frames} frames", refresh=False)
        self._bar.update(0)

    def done(self, line: str) -> None:
        if line:
            tqdm.write(line, file=sys.stderr)
        self._bar.update()

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_) -> None:
        self._bar.close()
