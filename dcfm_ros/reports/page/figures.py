# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which figures of a report the page shows, how they are written, and what they mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from dcfm_ros.reports import text

NOTHING = "–"


@dataclass(frozen=True)
class Figure:
    """A line of the table of rows."""

    name: str
    meaning: str
    path: tuple[str, ...]  # of the value in a row of the report
    text: Callable[[Any], str]


@dataclass(frozen=True)
class Line:
    """A figure with its values, one for each row."""

    name: str
    meaning: str
    texts: list[str]


percent = partial(text.percent, missing=NOTHING)


def number(value: float | None, decimals: int = 0) -> str:
    """With a narrow space between thousands."""
    return NOTHING if value is None else f"{value:,.{decimals}f}".replace(",", "\u202f")


def duration(seconds: float | None) -> str:
    if seconds is None:
        return NOTHING
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def counts(counted: dict[str, int] | None) -> str:
    """`12 interval, 3 deviation`, the most frequent first."""
    ordered = sorted((counted or {}).items(), key=lambda item: -(item[1] or 0))
    return ", ".join(f"{number(count)} {name}" for name, count in ordered) or NOTHING


def plain(value: object) -> str:
    """A setting as text."""
    if isinstance(value, (list, tuple)):
        return ", ".join(map(plain, value)) or NOTHING
    return NOTHING if value is None or value == "" else str(value)


def at(row: dict, path: tuple[str, ...]) -> object:
    """The value at a path of keys; None where there is none."""
    value: object = row
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


_ACCURACY = "Accuracy, per cent"
GROUPS: tuple[tuple[str, tuple[Figure, ...]], ...] = (
    (
        _ACCURACY,
        (
            Figure(
                "mIoU",
                "Mean over the classes that the labels have of intersection over union: how well the masks "
                "fit.",
                ("miou",),
                percent,
            ),
            Figure(
                "mIoU, all classes",
                "The same with classes that no label has counting 0, as in published tables.",
                ("miou_all",),
                percent,
            ),
            Figure("wIoU", "IoU weighted by how much of the labels each class covers.", ("wiou",), percent),
            Figure("Pixel accuracy", "Labelled pixels that are right.", ("pixel_accuracy",), percent),
            Figure(
                "mIoU on keyframes",
                "Of the labelled frames that were keyframes.",
                ("miou_keyframes",),
                percent,
            ),
            Figure(
                "mIoU on other frames",
                "Of those whose common feature was older than themselves.",
                ("miou_other_frames",),
                percent,
            ),
            Figure("Labelled frames", "All accuracy is of these.", ("labelled_frames",), number),
        ),
    ),
    (
        "Steadiness, per cent",
        (
            Figure(
                "Steady over 8 frames",
                "Of the pixels whose colour stood still over 8 frames, those whose class did, too. "
                "Needs no labels.",
                ("steady8",),
                percent,
            ),
            Figure(
                "Flicker",
                "Pixels per frame whose class changes and returns within 3 frames. Less is better; needs no "
                "labels.",
                ("flicker",),
                partial(percent, decimals=3),
            ),
            Figure(
                "Agreement",
                "Pixels with the class that the same model gives when every frame is a keyframe.",
                ("agreement",),
                percent,
            ),
            Figure(
                "mVC8",
                "Of the pixels whose label stood still over 8 frames, those whose class did, too.",
                ("mvc8",),
                percent,
            ),
            Figure("mVC16", "The same over 16 frames.", ("mvc16",), percent),
        ),
    ),
    (
        "Keyframes",
        (
            Figure("Frames", "Images that got a mask.", ("frames",), number),
            Figure("Keyframes", "Frames for which the deep network ran.", ("keyframes",), number),
            Figure(
                "Keyframes per frame",
                "Share of frames that paid for the deep network.",
                ("keyframe_rate",),
                partial(number, decimals=3),
            ),
            Figure(
                "Mean interval",
                "Frames from a keyframe to the next.",
                ("mean_keyframe_interval",),
                partial(number, decimals=2),
            ),
        ),
    ),
    (
        "Motion of common features",
        (
            Figure(
                "Moved along",
                "Masks whose common feature was moved to where things are now.",
                ("alignments", "flow"),
                number,
            ),
            Figure(
                "Stood still",
                "Masks of keyframes, and of scenes in which nothing had moved since.",
                ("alignments", "still"),
                number,
            ),
            Figure(
                "As they were",
                "Masks for which the motion was not known, or all where features do not move, as published.",
                ("alignments", "none"),
                number,
            ),
            Figure(
                "Mean motion, pixels",
                "Of those that were moved along.",
                ("motion_px",),
                partial(number, decimals=1),
            ),
        ),
    ),
    (
        "Reasons of keyframes",
        tuple(
            Figure(reason, meaning, ("keyframe_reasons", reason), number)
            for reason, meaning in (
                ("first", "The camera had no common feature yet."),
                (
                    "deviation",
                    "The picture has changed: the AKS score reached the threshold, or there was a hard cut.",
                ),
                ("interval", "The longest interval that is allowed was over."),
                ("reset", "Size or time jumped, or the camera was silent."),
                ("requested", "Somebody asked for it."),
            )
        ),
    ),
    (
        "Age of the common feature",
        (
            Figure(
                "Mean, frames",
                "From the keyframe that serves a frame to that frame.",
                ("feature_age_frames", "mean"),
                partial(number, decimals=2),
            ),
            Figure("Oldest, frames", "Of all frames.", ("feature_age_frames", "max"), number),
            Figure(
                "Mean, seconds", "The same by stamps.", ("feature_age_s", "mean"), partial(number, decimals=3)
            ),
            Figure("Oldest, seconds", "By stamps.", ("feature_age_s", "max"), partial(number, decimals=3)),
        ),
    ),
)

STAGES = (
    ("preprocess", "Image to network input"),
    ("motion", "Motion since the frame before"),
    ("shallow", "Shallow path, on every frame"),
    ("postprocess", "Fusion, head and mask at camera size"),
    ("encode", "Deep path, on keyframes"),
    ("latency", "Image in to mask out, a keyframe's wait for the deep path included"),
)


def tables(rows: list[dict]) -> list[tuple[str, list[Line]]]:
    """Groups of lines; a line that no row has a value for is left out, and so is accuracy where no row has
    labels."""
    labelled, found = any(row.get("miou") is not None for row in rows), []
    for title, figures in GROUPS:
        if title == _ACCURACY and not labelled:
            continue
        lines = []
        for figure in figures:
            values = [at(row, figure.path) for row in rows]
            if any(value is not None for value in values):
                lines.append(Line(figure.name, figure.meaning, [figure.text(value) for value in values]))
        if lines:
            found.append((title, lines))
    return found
