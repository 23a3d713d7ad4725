# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One picture that shows a run: frames with their masks, the classes, and when keyframes were taken and
why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

Color = tuple[int, int, int]

WIDTH = 1600  # pixels
MARGIN = 40
COLUMNS = 4
GAP = 16

PAPER, PANEL, GRID = (255, 255, 255), (248, 248, 250), (226, 226, 232)
INK, FAINT = (34, 36, 44), (112, 116, 128)
SCORE, THRESHOLD, AGE, CUT = (30, 90, 170), (200, 60, 50), (90, 110, 130), (60, 60, 66)
REASONS: dict[str, Color] = {
    "first": (40, 150, 90),
    "deviation": (225, 125, 20),
    "interval": (120, 80, 190),
    "requested": (20, 150, 190),
    "reset": (200, 60, 130),
}
OTHER_REASON = FAINT


@dataclass(frozen=True)
class Tile:
    """A frame of the run to show."""

    image: np.ndarray  # (H, W, 3) uint8 RGB, the overlay
    frame: int
    reason: str | None = None  # why it was a keyframe; None if it was not
    age: int | None = None  # age of the common feature used, frames; None if there was none
    motion_px: float | None = None  # by which it was moved along, in the mean; None if it was not


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
    tiles: list[Tile], legend: list[tuple[str, Color]], timeline: Timeline, title: str
) -> np.ndarray:
    """Draw the sheet: (H, 1600, 3) uint8 RGB, as high as its contents need.

    tiles: frames to show, in reading order; 12 fill three rows
    legend: (name, RGB) of the classes, ASCII only
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
    strips = [
        _title(title),
        _grid(tiles),
        _legend(legend),
        _timeline(timeline, [tile.frame for tile in tiles]),
    ]
    return np.concatenate(strips, axis=0)


def _title(title):
    strip = _strip(84)
    size, room = 1.0, WIDTH - 2 * MARGIN
    while size > 0.6 and _text_width(title, size, 2) > room:  # long titles get smaller letters, then an end
        size -= 0.05
    if _text_width(title, size, 2) > room:
        while _text_width(title + " ...", size, 2) > room:
            title = title[:-1]
        title += " ..."
    _text(strip, title, MARGIN, 54, size, INK, weight=2)
    return strip


def _grid(tiles):
    columns = min(COLUMNS, max(2, len(tiles)))
    width = (WIDTH - 2 * MARGIN - (columns - 1) * GAP) // columns
    height = max(round(width * tile.image.shape[0] / tile.image.shape[1]) for tile in tiles)
    pitch = height + 46  # caption included
    strip = _strip(-(-len(tiles) // columns) * pitch + 6)
    for number, tile in enumerate(tiles):
        left, top = MARGIN + number % columns * (width + GAP), number // columns * pitch
        rows = round(width * tile.image.shape[0] / tile.image.shape[1])
        shrinks = tile.image.shape[1] > width
        image = cv2.resize(
            tile.image, (width, rows), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        )
        strip[top : top + rows, left : left + width] = image
        _text(strip, f"frame {tile.frame}", left, top + rows + 24, 0.56, INK)
        if tile.reason is not None:
            color = REASONS.get(tile.reason, OTHER_REASON)
            cv2.rectangle(strip, (left + 1, top + 1), (left + width - 2, top + rows - 2), color, 4)
            _text(strip, f"keyframe: {tile.reason}", left + width, top + rows + 24, 0.56, color, align=1)
        else:
            note = "no mask" if tile.age is None else f"feature {_frames(tile.age)} old"
            if tile.motion_px is not None:
                note += f", moved {tile.motion_px:.0f} px"
            _text(strip, note, left + width, top + rows + 24, 0.56, FAINT, align=1)
    return strip


def _legend(legend):
    if not legend:
        return _strip(0)
    size, swatch, row = 0.56, 20, 32
    cell = swatch + 10 + 24 + max(_text_width(name, size) for name, _ in legend)
    fits = max(1, (WIDTH - 2 * MARGIN + 24) // cell)
    rows = -(-len(legend) // fits)
    columns = -(-len(legend) // rows)  # rows of equal length
    cell = max(cell, (WIDTH - 2 * MARGIN) // columns) if rows > 1 else cell
    strip = _strip(rows * row + 24)
    for number, (name, color) in enumerate(legend):
        left, top = MARGIN + number % columns * cell, number // columns * row + 4
        cv2.rectangle(strip, (left, top), (left + swatch, top + swatch), [int(c) for c in color], cv2.FILLED)
        cv2.rectangle(strip, (left, top), (left + swatch, top + swatch), FAINT, 1)
        _text(strip, name, left + swatch + 10, top + 16, size, INK)
    return strip


def _timeline(timeline, shown):
    """Score with threshold above, feature age below, on one axis of frame numbers."""
    strip = _strip(412)
    left, right = MARGIN + 160, WIDTH - MARGIN
    n = len(timeline.score)
    score, age = np.asarray(timeline.score, float), np.asarray(timeline.age, float)
    x = lambda frame: left + 10 + (right - left - 20) * frame / max(1, n - 1)
    _key(strip, timeline, 20)

    top_score = max([*score[np.isfinite(score)], timeline.threshold or 0, 1e-9]) * 1.1
    if timeline.threshold:  # the peak of a hard cut may not press everything else flat
        top_score = min(top_score, 4 * timeline.threshold)
    y_score = _panel(strip, left, right, 66, 246, top_score, "AKS score", "since keyframe")
    top_age = max([*age[np.isfinite(age)], 1]) * 1.15
    y_age = _panel(strip, left, right, 278, 350, top_age, "feature age", "in frames", whole=True)

    for frame in ticks(n - 1, 16, whole=True) if n > 1 else [0]:
        for top, bottom in ((66, 246), (278, 350)):
            cv2.line(strip, _point(x(frame), top), _point(x(frame), bottom), GRID, 1)
        cv2.line(strip, _point(x(frame), 350), _point(x(frame), 356), FAINT, 1)
        _text(strip, f"{frame:.0f}", x(frame), 376, 0.5, FAINT, align=0.5)
    _text(strip, "frame", (left + right) / 2, 398, 0.5, FAINT, align=0.5)

    for frame, reason in timeline.keyframes:
        color = REASONS.get(reason, OTHER_REASON)
        cv2.line(strip, _point(x(frame), 64), _point(x(frame), 246), _mixed(color, 0.45), 1, cv2.LINE_AA)
        _triangle(strip, x(frame), 65, color)
    for cut in timeline.cuts:
        _dashed(strip, x(cut), 66, x(cut), 246, CUT)
        _dashed(strip, x(cut), 278, x(cut), 350, CUT)
    if timeline.threshold is not None:
        _dashed(strip, left, y_score(timeline.threshold), right, y_score(timeline.threshold), THRESHOLD)
    _curve(strip, x, y_score, np.minimum(score, top_score), SCORE, steps=False)
    _curve(strip, x, y_age, age, AGE, steps=True)
    for frame in shown:  # where the pictures above come from
        cv2.circle(strip, _point(x(frame), 262), 4, INK, cv2.FILLED, cv2.LINE_AA)
    return strip


def _key(strip, timeline, y):
    """What the lines and marks of the timeline mean, with the number of keyframes for each reason."""
    entries = [("score", SCORE, "line")]
    if timeline.threshold is not None:
        entries.append((f"threshold ({timeline.threshold:.3g})", THRESHOLD, "dashes"))
    counts = Counter(reason for _, reason in timeline.keyframes)
    if counts:
        entries.append((f"keyframes ({len(timeline.keyframes)}):", INK, None))
    for reason in (*REASONS, *sorted(counts.keys() - REASONS.keys())):
        if counts[reason]:
            entries.append((f"{reason} ({counts[reason]})", REASONS.get(reason, OTHER_REASON), "triangle"))
    if timeline.cuts:
        entries.append((f"hard cut ({len(timeline.cuts)})", CUT, "dashes"))
    entries.append(("shown above", INK, "dot"))
    marks = {
        "line": 34,
        "dashes": 34,
        "triangle": 18,
        "dot": 16,
        None: 0,
    }  # width with its distance to the text
    room = WIDTH - 2 * MARGIN - sum(marks[mark] + _text_width(name, 0.5) for name, _, mark in entries)
    gap = min(34, room // len(entries))  # shrinks with many entries, so that they stay in one line
    x = MARGIN
    for name, color, mark in entries:
        if mark == "line":
            cv2.line(strip, (x, y), (x + 26, y), color, 2, cv2.LINE_AA)
        elif mark == "dashes":
            _dashed(strip, x, y, x + 26, y, color)
        elif mark == "triangle":
            _triangle(strip, x + 6, y + 5, color)
        elif mark == "dot":
            cv2.circle(strip, (x + 4, y), 4, color, cv2.FILLED, cv2.LINE_AA)
        _text(strip, name, x + marks[mark], y + 5, 0.5, INK)
        # The reasons stand close to the word that they belong to.
        x += marks[mark] + _text_width(name, 0.5) + (12 if mark is None else gap)


def _panel(strip, left, right, top, bottom, highest, name, unit, whole=False):
    """Draw an empty diagram with its value axis from 0; return the function from value to y."""
    y = lambda value: bottom - (bottom - top) * value / highest
    cv2.rectangle(strip, (left, top), (right, bottom), PANEL, cv2.FILLED)
    for tick in ticks(highest, 4, whole):
        cv2.line(strip, _point(left, y(tick)), _point(right, y(tick)), GRID, 1)
        _text(strip, f"{tick:g}", left - 8, y(tick) + 5, 0.46, FAINT, align=1)
    cv2.rectangle(strip, (left, top), (right, bottom), FAINT, 1)
    _text(strip, name, MARGIN, (top + bottom) / 2 - 4, 0.5, INK)
    _text(strip, unit, MARGIN, (top + bottom) / 2 + 16, 0.46, FAINT)
    return y


def _curve(strip, x, y, values, color, steps):
    """A line through finite values, broken where they are not."""
    for i in range(len(values)):
        if not np.isfinite(values[i]):
            continue
        here = _point(x(i), y(values[i]))
        if i + 1 == len(values) or not np.isfinite(values[i + 1]):
            if i == 0 or not np.isfinite(values[i - 1]):  # a value on its own still shows
                cv2.circle(strip, here, 2, color, cv2.FILLED, cv2.LINE_AA)
            continue
        there = _point(x(i + 1), y(values[i + 1]))
        points = [here, (there[0], here[1]), there] if steps else [here, there]
        cv2.polylines(strip, [np.array(points)], False, color, 2, cv2.LINE_AA)


def ticks(highest: float, most: int, whole: bool = False) -> np.ndarray:
    """Round numbers 0, step, ... up to `highest`, about `most` of them."""
    step = 10.0 ** np.floor(np.log10(highest / most))
    step *= next(k for k in (1, 2, 5, 10) if k * step * most >= highest)
    if whole:
        step = max(1.0, step)
    return np.arange(0, highest * (1 + 1e-9), step)


def _dashed(strip, x0, y0, x1, y1, color):
    length = max(abs(x1 - x0), abs(y1 - y0))
    for start in np.arange(0, length, 10):
        a, b = start / length, min(start + 6, length) / length
        cv2.line(
            strip,
            _point(x0 + (x1 - x0) * a, y0 + (y1 - y0) * a),
            _point(x0 + (x1 - x0) * b, y0 + (y1 - y0) * b),
            color,
            2,
            cv2.LINE_AA,
        )


def _triangle(strip, x, y, color):
    """A mark that points down at (x, y)."""
    corners = [_point(x - 6, y - 10), _point(x + 6, y - 10), _point(x, y)]
    cv2.fillConvexPoly(strip, np.array(corners), color, cv2.LINE_AA)


def _text(strip, text, x, y, size, color, weight=1, align=0.0):
    """Write on the base line `y`; `x` is the left end for align 0, the middle for 0.5, the right end for
    1."""
    x -= align * _text_width(text, size, weight)
    cv2.putText(strip, text, _point(x, y), cv2.FONT_HERSHEY_SIMPLEX, size, color, weight, cv2.LINE_AA)


def _text_width(text, size, weight=1):
    return cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, weight)[0][0]


def _strip(height):
    return np.full((height, WIDTH, 3), PAPER, np.uint8)


def _point(x, y):
    return round(float(x)), round(float(y))


def _mixed(color, share):
    """`color` diluted with the panel's colour."""
    return tuple(round(share * c + (1 - share) * p) for c, p in zip(color, PANEL))


def _frames(count):
    return "1 frame" if count == 1 else f"{count} frames"
