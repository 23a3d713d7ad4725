# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The figure of the study of scale: four panels, to be read at 900 pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from studies.scale_points import BACKBONES, CAMERAS, CLASSES, IMAGE, NETWORK

from dcfm_ros.files import atomic_files

INK, GRID = "#22242c", "#e2e2e8"
COLOURS = {"frame": "#1f5fa8", "keyframe": "#c8501e"}
_LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1)))  # by number of cores, from many to few
_TICKS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000)  # milliseconds
_FORMS = {IMAGE: "network 352x480", NETWORK: "network as large"}


def draw(report: dict, file: Path) -> None:
    """Write the figure of a report; what it has not measured is left out."""
    figure = Figure(figsize=(9.0, 7.2), dpi=150, layout="constrained")
    panels = figure.subplots(2, 2).flat
    found = report["points"]
    numbers = sorted({point["cores"] for point in found})
    _sizes(next(panels), found, numbers[-1])
    _lines(next(panels), found, CLASSES, numbers, "classes")
    _lines(next(panels), found, CAMERAS, numbers, "cameras (one image of each)")
    _bars(next(panels), found, numbers)
    figure.suptitle(f"{report['machine']['cpu']}; {found[0]['precision']}; medians", fontsize=9, color=INK)
    with atomic_files(file) as (part,):
        FigureCanvasAgg(figure).print_png(part)


def _of(found: list[dict], axis: str, cores: int) -> list[dict]:
    return [point for point in found if point["axis"] == axis and point["cores"] == cores]


def _sizes(axes: Any, found: list[dict], cores: int) -> None:
    for line, (axis, form) in zip(("-", "--"), _FORMS.items()):
        own = _of(found, axis, cores)
        for what, colour in COLOURS.items():
            if own:
                _plot(axes, own, what, line, colour, f"{what}, {form}")
    _dress(axes, f"image height (16:9), {_cores(cores)}")
    _name_places(axes, _of(found, IMAGE, cores) + _of(found, NETWORK, cores))


def _lines(axes: Any, found: list[dict], axis: str, numbers: list[int], label: str) -> None:
    for line, cores in zip(_LINES, reversed(numbers)):
        own = _of(found, axis, cores)
        for what, colour in COLOURS.items():
            if own:
                _plot(axes, own, what, line, colour, f"{what}, {_cores(cores)}")
    _dress(axes, label)
    _name_places(axes, [point for point in found if point["axis"] == axis])


def _plot(axes: Any, own: list[dict], what: str, line: Any, colour: str, label: str) -> None:
    places, figures = zip(*((point["value"], point[what]["median_ms"]) for point in own))
    axes.plot(
        places, figures, linestyle=line, color=colour, linewidth=1.6, marker="o", markersize=4, label=label
    )


def _name_places(axes: Any, own: list[dict]) -> None:
    places = sorted({point["value"] for point in own})
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(places))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda place, _: f"{place:g}"))


def _bars(axes: Any, found: list[dict], numbers: list[int]) -> None:
    kinds = [(what, cores) for what in COLOURS for cores in numbers]
    width = 0.8 / len(kinds)
    names = list(dict.fromkeys(point["value"] for point in found if point["axis"] == BACKBONES))
    for number, (what, cores) in enumerate(kinds):
        if not (own := _of(found, BACKBONES, cores)):
            continue
        places = [names.index(point["value"]) - 0.4 + (number + 0.5) * width for point in own]
        axes.bar(
            places,
            [point[what]["median_ms"] for point in own],
            width,
            color=COLOURS[what],
            alpha=0.45 + 0.55 * (numbers.index(cores) + 1) / len(numbers),
            label=f"{what}, {_cores(cores)}",
        )
    _dress(axes, "backbone", logarithmic=False)
    axes.set_xticks(range(len(names)), [name.replace("efficientnet_", "efficientnet_\n") for name in names])


def _dress(axes: Any, label: str, logarithmic: bool = True) -> None:
    axes.set_xlabel(label, color=INK)
    axes.set_ylabel("ms", color=INK)
    if logarithmic:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(FixedLocator(_TICKS))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.grid(True, axis="both" if logarithmic else "y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, labelsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    has_data = bool(axes.get_legend_handles_labels()[0])
    axes.set_visible(has_data)
    if has_data:
        axes.legend(frameon=False, fontsize=8, labelcolor=INK, handlelength=3.2)


def _cores(number: int) -> str:
    return f"{number} core{'s' * (number > 1)}"
