# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Plots of an evaluation, from its report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dcfm_ros.evaluation.schedule import ALIGNMENTS, ASYNC, CAUSAL, FLOW, LOGITS, NONE, PER_FRAME, TWO_SIDED
from dcfm_ros.evaluation.table import schedule_of

INK, GRID = "#22242c", "#e2e2e8"
STYLES = {FLOW: ("-", 1.0), NONE: ("--", 0.55), LOGITS: (":", 0.9)}  # line and opacity, by alignment
COLORS = {
    TWO_SIDED: ["#1f5fa8"],
    CAUSAL: ["#c8501e"],
    ASYNC: ["#8bc28f", "#3f9a52", "#166b34", "#0b4320"],
    PER_FRAME: [INK],
}
MANY_CLASSES = 30  # bars of more classes are those of two rows
EVERY_FRAME = (
    "#a9bedb"  # bars of DCFM with a keyframe in every frame, which is the same in all modes but async
)


@rc_context({"text.parse_math": False})  # a $ in the name of a model or class is a letter
def write_plots(report: dict, folder: Path) -> None:
    """accuracy.png and consistency.png (mIoU and mVC8 by keyframe rate), age.png, per_class.png; those
    without data are left out, and old ones of the same name removed."""
    pictures = {
        "accuracy.png": _by_rate(report, "miou", "mIoU (%)"),
        "consistency.png": _by_rate(report, "mvc8", "mVC8 (%)"),
        "age.png": _by_age(report),
        "per_class.png": _per_class(report),
    }
    for name, figure in pictures.items():
        (folder / name).unlink(missing_ok=True)
        if figure is not None:
            FigureCanvasAgg(figure).print_png(folder / name)


def _by_rate(report: dict, value: str, label: str) -> Figure | None:
    """A figure against keyframes per frame, a panel for each alignment: lines of each mode's intervals,
    dashed of its AKS thresholds."""
    rows = [row for row in report["rows"] if row[value] is not None]
    references = [row for row in rows if row["mode"] == PER_FRAME]
    ways = [
        way for way in ALIGNMENTS if any(row["alignment"] == way for row in rows if row["mode"] != PER_FRAME)
    ]
    if not rows:
        return None
    figure, panels = _figure(report, "keyframes per frame", label, panels=max(1, len(ways)))
    for axes, way in zip(panels, ways or [NONE]):
        own = [row for row in rows if row["mode"] != PER_FRAME and row["alignment"] == way]
        if len(panels) > 1:
            axes.text(
                0.98, 0.03, ALIGNMENTS[way], transform=axes.transAxes, ha="right", color=INK, fontsize=10.5
            )
        for row in references:
            axes.axhline(
                100 * row[value],
                color=_color(report, PER_FRAME, 0),
                linewidth=1.2,
                linestyle=":",
                label=_model_name(row),
            )
        _plot_curves(axes, report, own, value)
        axes.set_xlim(0, 1.04)
        _mark_intervals(axes, own)
    _legend(panels[-1])
    return figure


def _plot_curves(axes, report: dict, rows: list[dict], value: str) -> None:
    curves: dict[tuple[str, int, bool], list[dict]] = {}
    for row in rows:
        curves.setdefault((row["mode"], row["delay"], row["interval"] is None), []).append(row)
    for (mode, delay, adaptive), points in curves.items():
        points, color = sorted(points, key=lambda row: row["keyframe_rate"]), _color(report, mode, delay)
        axes.plot(
            [row["keyframe_rate"] for row in points],
            [100 * row[value] for row in points],
            color=color,
            linewidth=1.6,
            linestyle="--" if adaptive else "-",
            marker="D" if adaptive else "o",
            markersize=4.5,
            markerfacecolor="white" if adaptive else color,
            label=f"{schedule_of(points[0]).mode_name}, {'AKS' if adaptive else 'fixed K'}",
        )


def _mark_intervals(axes, rows: list[dict]) -> None:
    """A second axis on top, with the interval K at its rate."""
    rates: dict[int, list[float]] = {}
    for row in rows:
        if row["interval"] is not None and row["mode"] != PER_FRAME:
            rates.setdefault(row["interval"], []).append(row["keyframe_rate"])
    if not rates:
        return
    top = axes.secondary_xaxis("top")
    top.set_xticks(
        [sum(values) / len(values) for values in rates.values()], [str(interval) for interval in rates]
    )
    top.set_xlabel("fixed interval K (frames)", color=INK)
    top.tick_params(colors=INK, length=3)
    top.spines["top"].set_visible(False)


def _by_age(report: dict) -> Figure | None:
    ways = report["by_age"]["miou"] if report["by_age"] else {}
    if not ways or any(
        None in values for values in ways.values()
    ):  # all ages are of the same frames: if one is void, all are
        return None
    figure, (axes,) = _figure(report, "age of the common feature (frames)", "mIoU (%)")
    for way, values in ways.items():
        line, opacity = STYLES[way]
        axes.plot(
            range(len(values)),
            [100 * value for value in values],
            color=COLORS[CAUSAL][0],
            linewidth=1.6,
            linestyle=line,
            alpha=opacity,
            marker="o",
            markersize=4.5,
            label=ALIGNMENTS[way],
        )
    for row in report["rows"]:
        if row["mode"] == PER_FRAME and row["miou"] is not None:
            axes.axhline(100 * row["miou"], color=INK, linewidth=1.2, linestyle=":", label=_model_name(row))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _legend(axes, f"every frame served by the frame\nof that age ({report['by_age']['frames']} frames)")
    return figure


def _per_class(report: dict) -> Figure | None:
    """Bars of the classes that labels have, for the rows that tell most."""
    rows = _telling_rows(report["rows"])
    names = [name for name, value in rows[0]["per_class_iou"].items() if value is not None]
    if not names:
        return None
    if len(names) > MANY_CLASSES:
        rows = rows[:1] + [row for row in rows[1:] if row["interval"] != 1][:1]
    width = 0.8 / len(rows)
    figure, (axes,) = _figure(report, "IoU (%)", "", 1.6 + len(names) * max(0.22, 0.11 * len(rows)))
    for number, row in enumerate(rows):
        schedule = schedule_of(row)
        places = [position - 0.4 + (number + 0.5) * width for position in range(len(names))]
        label, color = (
            f"{schedule.mode_name}, {schedule.keyframe_rule}",
            _color(report, row["mode"], row["delay"]),
        )
        if row["mode"] == PER_FRAME:
            label = _model_name(row)
        elif row["mode"] != ASYNC and row["interval"] == 1:
            label, color = "every frame a keyframe", EVERY_FRAME
        axes.barh(
            places,
            [100 * row["per_class_iou"][name] for name in names],
            width,
            color=color,
            label=f"{label}: mIoU {100 * row['miou']:.1f} %",
        )
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, 100)
    axes.grid(False, axis="y")
    _legend(axes)
    return figure


def _telling_rows(rows: list[dict]) -> list[dict]:
    """The per-frame network, DCFM at its smallest interval, and each mode at a middle interval (or
    threshold); of several alignments those of the first."""
    chosen = [row for row in rows if row["mode"] == PER_FRAME]
    rows = [row for row in rows if row["mode"] != PER_FRAME]
    rows = [row for row in rows if row["alignment"] == rows[0]["alignment"]]
    fixed = [row for row in rows if row["mode"] in (TWO_SIDED, CAUSAL) and row["interval"] is not None]
    chosen += sorted(fixed, key=lambda row: row["interval"])[:1]
    modes: dict[tuple[str, int], list[dict]] = {}
    for row in rows:
        if row["mode"] != PER_FRAME:
            modes.setdefault((row["mode"], row["delay"]), []).append(row)
    for candidates in modes.values():
        candidates = [row for row in candidates if row["interval"] is not None] or candidates
        middle = candidates[len(candidates) // 2]
        if middle not in chosen:
            chosen.append(middle)
    return chosen


def _figure(
    report: dict, xlabel: str, ylabel: str, height: float = 5.0, panels: int = 1
) -> tuple[Figure, Sequence]:
    """A figure and its panels side by side."""
    figure = Figure(
        figsize=(3.0 + (6.0 if panels == 1 else 4.2 * panels), height), dpi=130, layout="constrained"
    )
    found = figure.subplots(1, panels, sharey=True, squeeze=False)[0]
    found[0].set_title(_title(report), fontsize=10.5, color=INK, loc="left")
    found[0].set_ylabel(ylabel, color=INK)
    for axes in found:
        axes.set_xlabel(xlabel, color=INK)
        axes.tick_params(colors=INK)
        axes.grid(True, color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    return figure, found


def _legend(axes, title: str = "") -> None:
    axes.legend(
        loc="upper left",
        bbox_to_anchor=(1.01, 1.0),
        frameon=False,
        fontsize=9,
        labelcolor=INK,
        handlelength=3.2,
        title=title or None,
        title_fontsize=9,
        alignment="left",
    )


def _title(report: dict) -> str:
    models = [model for model in report["models"] if model["architecture"] != PER_FRAME] or report["models"]
    return (
        f"{Path(models[0]['name']).name} on {report['data']['name']}, {report['data']['labelled_frames']} "
        f"labelled frames"
    )


def _model_name(row: dict) -> str:
    return f"per frame ({Path(row['model']).name})"


def _color(report: dict, mode: str, delay: int) -> str:
    """Delays of async have shades of their own, darker with the delay."""
    delays = sorted({row["delay"] for row in report["rows"] if row["mode"] == mode})
    shades = COLORS[mode]
    return shades[min(delays.index(delay), len(shades) - 1)]
