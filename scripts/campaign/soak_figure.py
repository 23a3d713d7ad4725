# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The figure of the soak: latency, memory, threads and open files over the frames."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dcfm_ros.files import atomic_files

_INK, _GRID, _BLUE, _ORANGE = "#22242c", "#e2e2e8", "#1f5fa8", "#c8501e"


def draw(lives: list[dict[str, Any]], file: Path) -> None:
    """Write the figure. lives: records of the soak, in order"""
    frames = [total / 1000 for total in accumulate(life["frames"] for life in lives)]
    figure = Figure(figsize=(9.0, 5.6), dpi=150, layout="constrained")
    panels = figure.subplots(3, 1, sharex=True, height_ratios=(2, 1, 1))
    rows = (
        ("latency, ms", (("p99", "p99_ms", _ORANGE), ("p50", "p50_ms", _BLUE))),
        ("resident, MB", (("", "resident_mb", _BLUE),)),
        ("count", (("threads", "threads", _BLUE), ("open files", "files", _ORANGE))),
    )
    for axes, (label, lines) in zip(panels, rows):
        for name, key, colour in lines:
            axes.plot(frames, [life[key] for life in lives], color=colour, lw=1.2, label=name)
        axes.set_ylabel(label, fontsize=8, color=_INK)
        axes.set_ylim(0, 1.15 * max(life[key] for life in lives for _, key, _ in lines))
        axes.grid(color=_GRID, lw=0.6)
        axes.tick_params(labelsize=8, colors=_INK)
        axes.spines[["top", "right"]].set_visible(False)
        if lines[0][0]:
            axes.legend(fontsize=8, frameon=False, ncols=2)
    panels[-1].set_xlabel("thousand frames", fontsize=8, color=_INK)
    with atomic_files(file) as (part,):
        FigureCanvasAgg(figure).print_png(part)
