# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page of an evaluated recording: one HTML file that needs nothing else."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np

from dcfm_ros.files import atomic_files
from dcfm_ros.reports.page import figures
from dcfm_ros.reports.page.data import Moment, TimelinePoint
from dcfm_ros.reports.page.moments import LARGEST_FLICKER, LOWEST_IOU, OLDEST_FEATURE
from dcfm_ros.reports.page.templates import inline, source_of, template
from dcfm_ros.reports.page.timeline import MOST_POINTS, WIDTH, timelines

# bytes of the video at a time; a multiple of 3, so that pieces of base64 can follow each other
_PIECE = 3 * 2**18
_JPEG_QUALITY = 85

_MEANINGS = {
    LOWEST_IOU: "Frames whose masks fit their labels worst.",
    LARGEST_FLICKER: "Frames on which the most pixels return to a class that they had just left.",
    OLDEST_FEATURE: "Frames that had to do with the oldest common features.",
}


def write_page(
    file: Path,
    report: dict,
    timeline: Sequence[TimelinePoint],
    moments: Sequence[Moment],
    palette: Sequence[tuple[str, tuple[int, int, int]]],
    video: Path | None,
    video_times_s: Sequence[float] = (),
) -> None:
    """Write the page; an unfinished one never has its name.

    report: as in report.json; figures that are None are shown as a dash or left out
    timeline: a point for each mask, by camera in the order of the recording
    moments: pictures with what is to see there, those of one kind together
    palette: name and RGB of each class
    video: an .mp4 file to embed, None for none
    video_times_s: of each of its frames, ascending, seconds since the recording began: a recording has gaps,
        a video none
    """
    if video is not None and not video_times_s:
        raise ValueError(f"the times of {video} are missing: give video_times_s, one for each of its frames")
    rows = report["rows"] or []
    script = inline("script.js")
    content = template("page.html", jpeg=_jpeg).stream(
        report=report,
        rows=rows,
        main=rows[0] if rows else {},
        other=rows[1] if len(rows) > 1 else {},
        name=Path(report["bag"]["path"] or "recording").name,
        style=inline("style.css"),
        script=script,
        script_source=source_of(script),
        tables=figures.tables(rows),
        stages=figures.STAGES,
        classes=_classes(rows, palette),
        timelines=timelines(timeline, (report["scheduler"] or {}).get("threshold")),
        width=WIDTH,
        most_points=MOST_POINTS,
        moments=[
            (kind, _MEANINGS.get(kind, ""), list(group)) for kind, group in groupby(moments, lambda m: m.kind)
        ],
        moment_value=_moment_value,
        video=None if video is None else partial(_base64, video),
        video_times_s=[round(time_s, 3) for time_s in video_times_s],
    )
    with atomic_files(file) as (part,), part.open("w", encoding="utf-8") as stream:
        stream.writelines(content)


def _base64(file: Path) -> Iterator[str]:
    with file.open("rb") as stream:
        while piece := stream.read(_PIECE):
            yield base64.b64encode(piece).decode("ascii")


def _jpeg(picture: np.ndarray) -> str:
    """A picture, (H, W, 3) uint8 RGB, as a data URI."""
    written, data = cv2.imencode(".jpg", picture[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY))
    if not written:
        raise ValueError(
            f"picture of shape {picture.shape} and type {picture.dtype} cannot be written as JPEG; "
            "give (H, W, 3) uint8 RGB"
        )
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii")


def _classes(rows: Sequence[dict], palette: Sequence[tuple[str, tuple[int, int, int]]]) -> list[dict]:
    """Name, colour and the IoU of each row, of the classes that a row has one of."""
    ious = [row["per_class_iou"] or {} for row in rows]
    found = [
        {
            "name": name,
            "color": "rgb({}, {}, {})".format(*color),
            "iou": [of_row.get(name) for of_row in ious],
        }
        for name, color in palette
    ]
    return [entry for entry in found if any(value is not None for value in entry["iou"])]


def _moment_value(moment: Moment) -> str:
    if moment.kind == LOWEST_IOU:
        return f"mIoU {figures.percent(moment.value, 1)} %"
    if moment.kind == LARGEST_FLICKER:
        return f"{figures.percent(moment.value, 2)} % of pixels"
    return f"{moment.value:.2f} s old"
