# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm bag evaluate` and `segment` on many recordings: several at a time, on one machine or on a Ray
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
from dcfm_ros.bags.options import BagEvaluateOptions
from dcfm_ros.bags.ray_workers import RayCluster
from dcfm_ros.bags.segment import BagSegmentOptions, segment_bag
from dcfm_ros.bags.workers import Engine, Outcome, Processes, Task
from dcfm_ros.bags.writing import told, write_text
from dcfm_ros.files import output_folder
from dcfm_ros.model.versions import versions
from dcfm_ros.reports.machine import machine
from dcfm_ros.reports.page.fleet import write_index

# What became of a recording.
DONE, FAILED, EXISTS, UNDONE = "done", "failed", "exists", "not done"
_TRIES = 2  # of a recording that failed for a reason that may pass


@dataclass(frozen=True)
class FleetOptions:
    """Which recordings, and who works on them."""

    bags: tuple[str, ...]  # recordings, folders that hold some, globs
    out: str = "out/bags"  # folder of the results, one for each recording in it
    workers: int | None = None  # recordings at a time; None: one here, and on Ray one for each machine
    ray: str = ""  # address of a cluster, or local

    def __post_init__(self):
        if not self.bags:
            raise ValueError("no recording: give at least one")
        if self.workers is not None and not 1 <= self.workers <= 10_000:
            raise ValueError(f"workers {self.workers}: use 1 to 10000")

    @property
    def only_bag(self) -> str | None:
        """The recording, where there is just one and it is named itself; None where a fleet is meant."""
        if self.workers is not None or self.ray or len(self.bags) > 1:
            return None
        return single_bag(self.bags[0])


@dataclass
class _Entry:
    """One recording of a fleet."""

    name: str  # of its results
    bag: Path
    job: Any
    status: str = UNDONE
    reason: str = ""
    tries: int = 0
    result: Any = None


def evaluate_fleet(fleet: FleetOptions, options: BagEvaluateOptions) -> dict:
    """Evaluate recordings, each with `options` into a folder of its own; returns what is in summary.json.

    Writes summary.json and index.html into `fleet.out`. The figures of all together are those of one run over
    them in the order of their names. A recording that fails is told with its reason and leaves the others
    alone. Raises BagError where there is none.
    """
    return _Fleet(fleet, options, _evaluate, _evaluated).run()


def segment_fleet(fleet: FleetOptions, options: BagSegmentOptions) -> dict:
    """Segment recordings, each with `options` into `<fleet.out>/<name>`; returns and writes as
    `evaluate_fleet` does.

    What is there already is left alone, and what is unfinished is gone on with.
    """
    return _Fleet(fleet, options, _segment, _segmented).run()


def _evaluate(options: BagEvaluateOptions, on_frames: Callable[[int], None]) -> BagResult:
    return evaluate_bag(options, partial(on_frames, 1))


def _segment(options: BagSegmentOptions, on_frames: Callable[[int], None]) -> dict:
    return segment_bag(options, partial(on_frames, 1))


def _evaluated(entries: list[_Entry]) -> tuple[list[dict], list[dict], int]:
    """Figures of each recording that is done, those of all together, and how many images were done for them
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


def _segmented(entries: list[_Entry]) -> tuple[list[dict], list[dict], int]:
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
                f"viewer {options.viewer}: it shows one recording; leave it away, or give just one"
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
                entry.status, entry.reason = EXISTS, "is there already: remove it to have it made anew"
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
            with told(self._out):
                write_text(self._out / "summary.json", json.dumps(summary, indent=2) + "\n")
                write_index(self._out / "index.html", summary)
        return summary

    def _job(self, bag: Path, name: str) -> Any:
        """The options for one recording. Paths are whole, for workers elsewhere."""
        whole = {
            "bag": str(bag.absolute()),
            "out": str(self._out / name),
            "model": _whole(self._options.model),
        }
        if hasattr(self._options, "labels"):
            whole["labels"] = tuple(map(_whole, self._options.labels))
        return replace(self._options, **whole)

    def _work(self, engine: Engine, entries: list[_Entry]) -> None:
        """Try these recordings once; those that may go well the next time stay UNDONE, as long as there is a
        next time."""
        if not entries:
            return
        with _Bar(len(entries)) as bar:

            def done(index: int, outcome: Outcome) -> None:
                entry = entries[index]
                entry.tries += 1
                bar.done(self._note(entry, outcome))

            engine.run(self._task, [entry.job for entry in entries], done, bar.frames)

    def _note(self, entry: _Entry, outcome: Outcome) -> str:
        """Note what became of a recording; returns what is worth a line."""
        if not outcome.failure:
            entry.status, entry.reason, entry.result = DONE, "", outcome.result
            return ""
        again = outcome.transient and entry.tries < _TRIES
        entry.status, entry.reason = UNDONE if again else FAILED, outcome.failure
        return f"{outcome.trace}{entry.name}: {outcome.failure}{' (tried again at the end)' * again}"

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
        """Of its results what to look at first, as seen from `out`."""
        for file in (
            ("report.html", "report.json") if getattr(self._options, "page", False) else ("report.json",)
        ):
            if entry.status == DONE and (self._out / entry.name / file).is_file():
                return f"{entry.name}/{file}"
        return None


def _engine(fleet: FleetOptions) -> Engine:
    return RayCluster(fleet.ray, fleet.workers) if fleet.ray else Processes(fleet.workers or 1)


def _whole(name: str) -> str:
    """The whole path where this names a folder, else the name as it is."""
    return str(Path(name).absolute()) if Path(name).is_dir() else name


def _report(result: BagResult | dict | None) -> dict:
    return result.report if isinstance(result, BagResult) else result or {}


class _Bar:
    """Progress: recordings, and frames where workers tell of them."""

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
