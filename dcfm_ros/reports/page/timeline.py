# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What happened when, as lines in SVG: the AKS score with keyframes, feature age, flicker and mIoU of one
camera.

Drawings are WIDTH units wide and stretched to the width of the page; their height is in pixels. A long
recording is thinned to the lowest and highest values of stretches, so that no peak is lost and the page stays
small.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dcfm_ros.reports.page.data import TimelinePoint
from dcfm_ros.reports.reason_colors import REASONS, reason_color
from dcfm_ros.rounding import rounded
from dcfm_ros.stamps import stamp_text

WIDTH = 1000
MOST_POINTS = 1500  # of each line
_MOST_RULES = 150  # keyframes up to which a line through the score marks each
_TIME_TICKS = 12
_TIME_STEPS = (
    0.1,
    0.2,
    0.5,
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1800,
    3600,
    7200,
    14400,
    43200,
    86400,
)


@dataclass(frozen=True)
class Marks:
    """All keyframes of one reason."""

    reason: str
    color: str
    count: int
    ticks: str  # path in its lane, 0 to 1 high
    rules: str  # path through the score, 0 to 1 high; "" where there are too many


@dataclass(frozen=True)
class Panel:
    """One line with its axis."""

    key: str
    title: str
    height: int  # pixels
    path: str
    grid: list[tuple[float, str]]  # y and what is written there
    threshold: float | None = None  # y


@dataclass(frozen=True)
class Timeline:
    """One camera's drawing. `hover` holds what the page shows under the pointer, for at most MOST_POINTS
    frames."""

    camera: str
    frames: int
    begin_s: float
    end_s: float
    marks: list[Marks]
    panels: list[Panel]
    time_ticks: list[tuple[float, str]]  # per cent of the width
    hover: dict[str, list]


def timelines(points: Sequence[TimelinePoint], threshold: float | None) -> list[Timeline]:
    """One for each camera, in order of appearance, all on the same time axis."""
    cameras: dict[str, list[TimelinePoint]] = {}
    for point in points:
        cameras.setdefault(point.camera, []).append(point)
    if not cameras:
        return []
    begin_s, end_s = min(point.time_s for point in points), max(point.time_s for point in points)
    return [_timeline(camera, of_camera, threshold, begin_s, end_s) for camera, of_camera in cameras.items()]


def thinned(values: np.ndarray, most: int = MOST_POINTS) -> np.ndarray:
    """Indices, ascending and at most `most`, of the first and last value and the lowest and highest of equal
    stretches."""
    if most < 4:
        raise ValueError(f"most {most}: keep at least 4 points")
    if len(values) <= most:
        return np.arange(len(values))
    edges = np.linspace(0, len(values), (most - 2) // 2 + 1).round().astype(int)
    chosen = {0, len(values) - 1}
    for start, end in zip(edges[:-1], edges[1:]):
        chosen |= {start + int(np.argmin(values[start:end])), start + int(np.argmax(values[start:end]))}
    return np.array(sorted(chosen))


def _timeline(
    camera: str, points: list[TimelinePoint], threshold: float | None, begin_s: float, end_s: float
) -> Timeline:
    times = np.array([point.time_s for point in points])
    span = (end_s - begin_s) or 1.0
    x = (times - begin_s) / span * WIDTH
    score, age = _values(points, "score"), _values(points, "age_frames")
    flicker, miou = 100 * _values(points, "flicker"), 100 * _values(points, "miou")
    top = max([*score[np.isfinite(score)], threshold or 0.0, 1e-3]) * 1.08
    if threshold:  # the peak of a hard cut may not press everything else flat
        top = min(top, 4 * threshold)
    panels = [
        replace(
            _panel(
                "score", "AKS score: how far the picture is from the last keyframe", 120, x, times, score, top
            ),
            threshold=_y(threshold, top, 120) if threshold else None,
        )
    ]
    panels.append(
        _panel(
            "age", "Age of the common feature, frames", 52, x, times, age, max(_highest(age), 1), whole=True
        )
    )
    if np.isfinite(flicker).any():
        panels.append(
            _panel(
                "flicker", "Flicker, per cent of pixels", 52, x, times, flicker, max(_highest(flicker), 0.01)
            )
        )
    if np.isfinite(miou).any():
        panels.append(_panel("miou", "mIoU of the frame alone, per cent", 72, x, times, miou, 100.0))
    return Timeline(
        camera,
        len(points),
        begin_s,
        end_s,
        _marks(points, x),
        panels,
        _time_ticks(begin_s, span),
        _hover(points),
    )


def _panel(
    key: str,
    title: str,
    height: int,
    x: np.ndarray,
    times: np.ndarray,
    values: np.ndarray,
    highest: float,
    whole: bool = False,
) -> Panel:
    there = np.flatnonzero(np.isfinite(values))
    x, times, values = x[there], times[there], values[there]
    steps = np.diff(times)
    # A line would say that something was measured where the camera was silent.
    gap = max(1.0, 5 * float(np.median(steps))) if len(steps) else 1.0
    stretch = np.concatenate(([0], np.cumsum((steps > gap) | (steps < 0))))
    path, last = [], None
    for i in thinned(values):
        joined = stretch[i] == last
        path.append(f"{'L' if joined else 'M'}{x[i]:.1f} {_y(min(values[i], highest), highest, height):.1f}")
        if not joined and (i + 1 == len(values) or stretch[i + 1] != stretch[i]):
            path.append("h.1")  # a value on its own still shows
        last = stretch[i]
    grid = [
        (_y(tick, highest, height), f"{tick:g}")
        for tick in _value_ticks(highest, 4 if height > 60 else 3, whole)
    ]
    return Panel(key, title, height, "".join(path), grid)


def _marks(points: list[TimelinePoint], x: np.ndarray) -> list[Marks]:
    keyframes = [(at, point.reason or "unknown") for at, point in zip(x, points) if point.is_keyframe]
    counts = Counter(reason for _, reason in keyframes)
    marks = []
    for reason in (*REASONS, *sorted(counts.keys() - REASONS.keys())):
        if counts[reason]:
            places = [at for at, of in keyframes if of == reason]
            # Half a unit is less than a pixel: more marks would lie on top of each other.
            shown = "".join(f"M{half / 2:g} 0v1" for half in sorted({round(2 * float(at)) for at in places}))
            color = "rgb({}, {}, {})".format(*reason_color(reason))
            marks.append(
                Marks(reason, color, counts[reason], shown, shown if len(keyframes) <= _MOST_RULES else "")
            )
    return marks


def _value_ticks(highest: float, most: int, whole: bool) -> np.ndarray:
    """Round numbers 0, step, ... up to `highest`, about `most` of them."""
    step = 10.0 ** np.floor(np.log10(highest / most))
    step *= next(k for k in (1, 2, 5, 10) if k * step * most >= highest)
    return np.arange(0, highest * (1 + 1e-9), max(1.0, step) if whole else step)


def _time_ticks(begin_s: float, span: float) -> list[tuple[float, str]]:
    step = next((step for step in _TIME_STEPS if step * _TIME_TICKS >= span), _TIME_STEPS[-1])
    first = int(np.ceil(begin_s / step - 1e-9))
    last = int(np.floor((begin_s + span) / step + 1e-9))
    return [
        (100 * (number * step - begin_s) / span, _clock(number * step, step))
        for number in range(first, last + 1)
    ]


def _clock(seconds: float, step: float) -> str:
    if step < 1:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60 and step < 60:
        return f"{whole} s"
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


def _hover(points: list[TimelinePoint]) -> dict[str, list]:
    """Columns; stamps are text, as JavaScript's numbers do not hold nanoseconds since 1970."""
    shown = [points[i] for i in thinned(np.nan_to_num(_values(points, "score")))]
    shown.sort(key=lambda point: point.time_s)
    return {
        "time": [round(point.time_s, 3) for point in shown],
        "stamp": [stamp_text(point.stamp_ns) for point in shown],
        "score": [rounded(point.score, 3) for point in shown],
        "reason": [(point.reason or "unknown") if point.is_keyframe else None for point in shown],
        "age_frames": [point.age_frames for point in shown],
        "age_s": [rounded(point.age_s, 3) for point in shown],
        "latency": [rounded(point.latency_ms, 1) for point in shown],
        "flicker": [rounded(point.flicker, 5) for point in shown],
        "miou": [rounded(point.miou, 4) for point in shown],
    }


def _values(points: list[TimelinePoint], name: str) -> np.ndarray:
    return np.array(
        [np.nan if getattr(point, name) is None else getattr(point, name) for point in points], float
    )


def _highest(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return 1.08 * float(finite.max()) if finite.size else 0.0


def _y(value: float, highest: float, height: int) -> float:
    return round(float(height - height * value / highest), 1)
