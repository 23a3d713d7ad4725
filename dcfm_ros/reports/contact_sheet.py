# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Contact sheet of a run: frames with their masks, the classes, and when keyframes were taken and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator

from dcfm_ros.reports.reason_colors import REASONS, Color, reason_color

WIDTH, MARGIN, GAP, COLUMNS = 1600, 40, 16, 4  # pixels; tiles in a row
_DPI = 100
_TITLE, _CAPTION, _LEGEND_ROW, _KEY, _SCORE, _AGE, _AXIS = 84, 46, 32, 76, 190, 80, 70  # heights, pixels
_LABELS = 150  # width left of the timeline
_LONGEST_TITLE = 100
INK, FAINT, GRID, PANEL = "#22242c", "#707480", "#e2e2e8", "#f8f8fa"
SCORE, THRESHOLD, AGE, CUT = "#1e5aaa", "#c83c32", "#5a6e82", "#3c3c42"


@dataclass(frozen=True)
class Tile:
    """A frame of the run to show."""

    image: np.ndarray  # (H, W, 3) uint8 RGB, the overlay
    frame: int
    reason: str | None = None  # why it was a keyframe; None if it was not
    age: int | None = None  # age of the common feature used, frames; None if there was none
    motion_px: float | None = None  # mean displacement by which it was aligned; None if it was not


@dataclass(frozen=True)
class Timeline:
    """What the scheduler saw and did, for frames 0..N-1."""

    score: Sequence[float]  # AKS score of each frame, nan where there is none
    threshold: float | None  # score that makes a keyframe; None for fixed intervals
    keyframes: Sequence[tuple[int, str]]  # (frame, reason)
    cuts: Sequence[int]  # first frames of new shots
    age: Sequence[float]  # age of the common feature used, frames; nan where there was none

    def __post_init__(self):
        n = len(self.score)
        if n == 0:
            raise ValueError("the timeline is empty; give the score of at least one frame")
        if len(self.age) != n:
            raise ValueError(
                f"the timeline has {n} scores but {len(self.age)} ages; give both for every frame"
            )
        for frame in (*self.cuts, *(frame for frame, _ in self.keyframes)):
            if not 0 <= frame < n:
                raise ValueError(f"the timeline has {n} frames; there is no frame {frame} to mark")


def contact_sheet(
    tiles: Sequence[Tile], legend: Sequence[tuple[str, Color]], timeline: Timeline, title: str
) -> np.ndarray:
    """Draw the sheet: (H, 1600, 3) uint8 RGB, as high as its contents need. Arguments as for `draw_sheet`."""
    canvas = FigureCanvasAgg(draw_sheet(tiles, legend, timeline, title))
    with rc_context({"text.parse_math": False}):
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


@rc_context({"text.parse_math": False})  # a $ in the name of a model or class is a letter
def draw_sheet(
    tiles: Sequence[Tile], legend: Sequence[tuple[str, Color]], timeline: Timeline, title: str
) -> Figure:
    """The sheet as a figure.

    tiles: frames to show, in reading order; 12 fill three rows
    legend: (name, RGB) of the classes
    timeline: of the whole run, which the tiles are taken from
    """
    if not tiles:
        raise ValueError("there are no tiles; give at least one frame to show")
    for tile in tiles:
        if tile.image.ndim != 3 or tile.image.shape[2] != 3 or tile.image.dtype != np.uint8:
            raise ValueError(
                f"tile of frame {tile.frame} has shape {tile.image.shape} and type {tile.image.dtype}; "
                "give (H, W, 3) uint8 RGB"
            )
    columns = min(COLUMNS, max(2, len(tiles)))
    width = (WIDTH - 2 * MARGIN - (columns - 1) * GAP) // columns
    images = [_fitted(tile.image, width) for tile in tiles]
    pitch = max(len(image) for image in images) + _CAPTION
    fitting = max(
        1, int((WIDTH - 2 * MARGIN) / (48 + 8.3 * max((len(name) for name, _ in legend), default=0)))
    )
    legend_rows = -(-len(legend) // fitting)
    legend_height = legend_rows * _LEGEND_ROW
    chart_height = _KEY + _SCORE + GAP * 2 + _AGE + _AXIS
    height = _TITLE + -(-len(tiles) // columns) * pitch + legend_height + chart_height

    figure = Figure(figsize=(WIDTH / _DPI, height / _DPI), dpi=_DPI, facecolor="white")
    shown = title if len(title) <= _LONGEST_TITLE else title[: _LONGEST_TITLE - 3] + "..."
    figure.text(MARGIN, height - 54, shown, transform=None, fontsize=18, weight="bold", color=INK)
    for number, (tile, image) in enumerate(zip(tiles, images)):
        left = MARGIN + number % columns * (width + GAP)
        top = height - _TITLE - number // columns * pitch
        _draw_tile(figure, tile, image, left, top)
    if legend:
        cells = -(-len(legend) // legend_rows)  # rows of equal length
        cells = cells if legend_rows > 1 else max(cells, min(fitting, 11))
        _draw_legend(figure, legend, cells, chart_height + legend_height)
    _draw_timeline(figure, timeline, [tile.frame for tile in tiles], chart_height - _KEY)
    return figure


def _fitted(image: np.ndarray, width: int) -> np.ndarray:
    rows = max(1, round(width * image.shape[0] / image.shape[1]))
    shrinks = image.shape[1] > width
    return cv2.resize(image, (width, rows), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def _draw_tile(figure: Figure, tile: Tile, image: np.ndarray, left: int, top: int) -> None:
    """Pixel for pixel, with its caption below; `top` is counted from below, as matplotlib does."""
    rows, width = image.shape[:2]
    figure.figimage(image, left, top - rows)
    if tile.reason is not None:
        note = f"keyframe: {tile.reason}"
        color: str | tuple[float, ...] = _rgb(reason_color(tile.reason))
        frame = Rectangle(
            (left + 2, top - rows + 2),
            width - 4,
            rows - 4,
            transform=None,
            fill=False,
            edgecolor=color,
            lw=2.9,
        )
        figure.add_artist(frame)
    else:
        note, color = "no mask" if tile.age is None else f"feature {_frames(tile.age)} old", FAINT
        if tile.motion_px is not None:
            note += f", moved {tile.motion_px:.0f} px"
    base = top - rows - 24
    figure.text(left, base, f"frame {tile.frame}", transform=None, fontsize=11, color=INK)
    figure.text(left + width, base, note, transform=None, fontsize=11, color=color, ha="right")


def _draw_legend(figure: Figure, legend: Sequence[tuple[str, Color]], cells: int, top: int) -> None:
    """Row by row, in columns of equal width."""
    for number, (name, color) in enumerate(legend):
        left = MARGIN + number % cells * (WIDTH - 2 * MARGIN) / cells
        bottom = top - number // cells * _LEGEND_ROW - 22
        swatch = Rectangle((left, bottom), 20, 20, transform=None, facecolor=_rgb(color), edgecolor=FAINT)
        figure.add_artist(swatch)
        figure.text(left + 30, bottom + 5, name, transform=None, fontsize=11, color=INK)


def _draw_timeline(figure: Figure, timeline: Timeline, shown: Sequence[int], top: int) -> None:
    """Score with threshold above, feature age below, on one axis of frame numbers."""
    n, score, age = len(timeline.score), np.asarray(timeline.score, float), np.asarray(timeline.age, float)
    upper = _axes(figure, top - _SCORE, _SCORE, "AKS score\nsince keyframe")
    lower = _axes(figure, _AXIS, _AGE, "feature age\nin frames")
    highest = max([*score[np.isfinite(score)], timeline.threshold or 0, 1e-9]) * 1.1
    if timeline.threshold:  # the peak of a hard cut may not press everything else flat
        highest = min(highest, 4 * timeline.threshold)
    upper.set_ylim(0, highest)
    lower.set_ylim(0, max([*age[np.isfinite(age)], 1]) * 1.15)
    for axes in (upper, lower):
        axes.set_xlim(-0.007 * n - 0.5, 1.007 * n - 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(16, integer=True, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=axes is lower))
    upper.tick_params(labelbottom=False, bottom=False)
    lower.set_xlabel("frame", color=FAINT, fontsize=10)

    key: list[Line2D | Patch] = _line(upper, np.minimum(score, highest), "score", color=SCORE)
    _line(lower, age, "", color=AGE, drawstyle="steps-post")
    if timeline.threshold is not None:
        style: dict[str, Any] = dict(color=THRESHOLD, linestyle="--", linewidth=1.5)
        key.append(upper.axhline(timeline.threshold, label=f"threshold ({timeline.threshold:.3g})", **style))
    key += _mark_keyframes(upper, timeline)
    for number, cut in enumerate(timeline.cuts):
        style = dict(color=CUT, linestyle="--", linewidth=1.5)
        lower.axvline(cut, **style)
        line = upper.axvline(cut, label=f"hard cut ({len(timeline.cuts)})", **style)
        key += [line] if number == 0 else []
    # where the pictures above come from
    transform = upper.get_xaxis_transform()
    style = dict(color=INK, marker="o", linestyle="none", markersize=5.5, clip_on=False)
    key += upper.plot(shown, [-GAP / _SCORE] * len(shown), transform=transform, label="shown above", **style)
    upper.legend(
        handles=key,
        loc="lower left",
        bbox_to_anchor=(-_LABELS / (WIDTH - 2 * MARGIN - _LABELS), 1.1),
        ncols=len(key),
        frameon=False,
        fontsize=min(10, 105 / len(key)),  # one line, also with many entries
        labelcolor=INK,
        borderpad=0,
        borderaxespad=0,
        columnspacing=1.4,
        handletextpad=0.5,
    )


def _axes(figure: Figure, bottom: int, height: int, label: str) -> Axes:
    """A diagram at this height in pixels."""
    full, left = figure.get_figheight() * _DPI, MARGIN + _LABELS
    axes = figure.add_axes((left / WIDTH, bottom / full, (WIDTH - MARGIN - left) / WIDTH, height / full))
    figure.text(MARGIN, bottom + height / 2, label, transform=None, fontsize=10, color=INK, va="center")
    axes.set_facecolor(PANEL)
    axes.grid(True, color=GRID, linewidth=0.8)
    axes.tick_params(labelsize=10, labelcolor=FAINT, color=FAINT)
    for spine in axes.spines.values():
        spine.set_color(FAINT)
    axes.set_axisbelow(True)
    return axes


def _line(axes: Axes, values: np.ndarray, label: str, **style) -> list:
    """A line through finite values, broken where they are not; a value on its own is a dot."""
    known = np.pad(np.isfinite(values), 1)
    alone = np.flatnonzero(known[1:-1] & ~known[:-2] & ~known[2:])
    axes.plot(alone, values[alone], ".", markersize=4, color=style["color"])
    return axes.plot(values, label=label, linewidth=1.6, **style)


def _mark_keyframes(axes: Axes, timeline: Timeline) -> list:
    """A line and a triangle for each; returns entries of the key, with the number for each reason."""
    counts = Counter(reason for _, reason in timeline.keyframes)
    key: list = []
    if counts:
        key.append(Patch(fill=False, linewidth=0, label=f"keyframes ({counts.total()}):"))
    for reason in (*REASONS, *sorted(counts.keys() - REASONS.keys())):
        if places := [frame for frame, its in timeline.keyframes if its == reason]:
            color, transform = _rgb(reason_color(reason)), axes.get_xaxis_transform()
            axes.vlines(places, 0, 1, transform=transform, color=color, alpha=0.45, linewidth=0.9)
            style: dict[str, Any] = dict(
                color=color, marker="v", linestyle="none", markersize=8, clip_on=False
            )
            label = f"{reason} ({len(places)})"
            key += axes.plot(places, [1.03] * len(places), transform=transform, label=label, **style)
    return key


def _rgb(color: Color) -> tuple[float, ...]:
    return tuple(value / 255 for value in color)


def _frames(count: int) -> str:
    return "1 frame" if count == 1 else f"{count} frames"
