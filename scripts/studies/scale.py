#!/usr/bin/env python3
# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How the cost of a frame and of a keyframe grows: with images, networks, classes, cameras, backbones, cores.

    scripts/studies/scale.py --json scale.json --figure docs/images/scale.png
    scripts/studies/scale.py --from scale.json --figure docs/images/scale.png     draw again

Each number of cores has a process of its own, each point a backend of its own. docs/performance.md has the
method.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from studies.command_line import run_study
from studies.scale_points import AXES, Point, points, value

from dcfm_ros.pipeline.settings import NetworkSettings
from dcfm_ros.reports.text import aligned
from dcfm_ros.setting_fields import check, like, setting

_WORKER = "--worker"  # of a process that measures; what is on its standard input
_CORES = (1, 2, 4, 8, 16)


@dataclass(frozen=True)
class Options:
    """What to measure, for how long."""

    axes: tuple[str, ...] = setting(AXES, "what grows", choices=AXES, metavar="AXIS,...")
    cores: tuple[int, ...] = setting(
        (), "numbers of cores; by default those of 1, 2, 4, 8 and 16 that there are", metavar="N,..."
    )
    backend: str = like(NetworkSettings, "backend")
    device: str = like(NetworkSettings, "device")
    precision: str = like(NetworkSettings, "precision")
    seconds: float = setting(1.5, "of each point, but three rounds at least", above=0, unit="seconds")
    figure: str = setting("", "draw it into this file (PNG)", metavar="FILE")
    report: str = setting("", "measure nothing: take this report", option="--from", metavar="FILE")

    def __post_init__(self):
        check(self)
        there = len(os.sched_getaffinity(0))
        if wrong := [cores for cores in self.cores if not 1 <= cores <= there]:
            raise ValueError(f"cores {wrong[0]}: this process may use {there}, use 1 to {there}")

    @property
    def numbers_of_cores(self) -> tuple[int, ...]:
        return self.cores or tuple(cores for cores in _CORES if cores <= len(os.sched_getaffinity(0)))


def scale(options: Options) -> dict:
    """Measure; returns the report, plain values for JSON."""
    wanted = points(options.axes)
    different = list(dict.fromkeys(point for _, point in wanted))
    found = {}
    with (
        tempfile.TemporaryDirectory(prefix="dcfm_ros_scale_") as folder,
        tqdm(total=len(different) * len(options.numbers_of_cores), unit="point", disable=None) as bar,
    ):
        for cores in options.numbers_of_cores:
            for point, figures in zip(different, _measured(different, cores, options, folder)):
                found[cores, point] = figures
                bar.update()
    from dcfm_ros.model.versions import versions
    from dcfm_ros.reports.machine import machine

    return {
        "options": asdict(options),
        "machine": machine(),
        "versions": versions(),
        "points": [
            {"axis": axis, "value": value(axis, point), "cores": cores, **found[cores, point]}
            for cores in options.numbers_of_cores
            for axis, point in wanted
        ],
    }


def _measured(wanted: Sequence[Point], cores: int, options: Options, folder: str) -> Iterator[dict]:
    """Reports of points, by a process that may use so many cores from its first instruction on."""
    how = {"backend": options.backend, "device": options.device, "precision": options.precision}
    task = {"folder": folder, "how": how, "seconds": options.seconds, "points": [*map(asdict, wanted)]}
    allowed = sorted(os.sched_getaffinity(0))[:cores]
    process = subprocess.Popen(
        [sys.executable, __file__, _WORKER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=partial(os.sched_setaffinity, 0, allowed),
        # converted networks of random weights go with the folder
        env={**os.environ, "XDG_CACHE_HOME": folder},
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(json.dumps(task))
        process.stdin.close()
        for line in process.stdout:
            yield json.loads(line)
        if code := process.wait():
            raise RuntimeError(f"the process that measures on {cores} cores has ended with code {code}")
    finally:
        process.kill()
        process.wait()


def _work() -> None:
    """Measure what standard input asks for; a line of JSON for each point."""
    from studies.scale_measure import Backends, measured

    from dcfm_ros.pipeline.memory import tune_malloc

    tune_malloc()  # as the node does
    task = json.load(sys.stdin)
    for plain in task["points"]:
        sizes = {name: tuple(plain[name]) for name in ("camera", "network")}
        point = Point(**{**plain, **sizes})
        found = measured(point, Path(task["folder"]), Backends(**task["how"]), task["seconds"])
        print(json.dumps(found), flush=True)


def table(report: dict) -> str:
    """The report as text: medians of a frame and of a keyframe, by numbers of cores."""
    numbers = sorted({point["cores"] for point in report["points"]})
    by_place: dict[tuple, dict] = {}
    for point in report["points"]:
        by_place.setdefault((point["axis"], point["value"]), {})[point["cores"]] = point
    heads = [f"{what}, {cores}" for cores in numbers for what in ("frame", "keyframe")]
    cells = [["medians, ms; by cores", *heads]]
    for (axis, place), found in by_place.items():
        figures = [found[cores][what]["median_ms"] for cores in numbers for what in ("frame", "keyframe")]
        cells.append([f"{axis} {place}", *(f"{figure:.1f}" for figure in figures)])
    return "\n".join([report["command"], report["machine"]["cpu"], *aligned(cells)])


def main(arguments: Sequence[str] | None = None) -> None:
    def make(options: Options, command: str) -> dict:
        if options.report:
            return json.loads(Path(options.report).read_text())
        return {"command": command, **scale(options)}

    options, report = run_study("scripts/studies/scale.py", __doc__, Options, make, table, arguments)
    if options.figure:
        from studies.scale_figure import draw

        draw(report, Path(options.figure))


if __name__ == "__main__":
    _work() if sys.argv[1:] == [_WORKER] else main()
