# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A plan as text of at most 100 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np

from dcfm_ros.benchmark.plan.measured import Row
from dcfm_ros.benchmark.plan.ros_cost import ros_cost_s
from dcfm_ros.benchmark.plan.words import latency_ms, machine_words, others_words, wish_words
from dcfm_ros.reports.text import aligned, number

_COLUMNS = 100
_NAME = 16  # letters of a model's name or folder
_FEW = 100  # frames below which a 99th percentile is hardly more than the greatest


def plan_table(rows: Sequence[Row], chosen: Row | None) -> str:
    """The rows, with what does not fit and what would."""
    first = rows[0].measured
    job = first.job
    upright = (
        ["the images are higher than wide: --camera is width x height, as in 640x480"]
        if job.image_size[0] > job.image_size[1]
        else []
    )
    head = [f"{wish_words(job)}; {job.share:.2f} of {job.cores} cores", machine_words(first), *upright]
    cells = [["", "fits", "p50", "p99", "keyframes/s", "age of feature", "processor", "memory", "mIoU"]]
    cells += [_cells(row, row is chosen) for row in rows]
    parts = [
        [line for text in head for line in _wrapped(text)],
        aligned(cells),
        [line for text in _notes(rows) for line in _wrapped(text)],
    ]
    for row in rows:
        if not row.fits:
            parts.append(
                [
                    *_wrapped(f"{row.model} does not fit: {'; '.join(row.reasons)}"),
                    *_wrapped(f"  what would: {'; or '.join(row.remedies)}"),
                ]
            )
    parts.append(
        [f"recommended: {chosen.model}" if chosen else "nothing fits, so there is no parameters file"]
    )
    return "\n\n".join("\n".join(part) for part in parts)


def _cells(row: Row, is_chosen: bool) -> list[str]:
    measured, drive = row.measured, row.measured.drive
    per_frame, has_masks = measured.costs.per_frame, bool(drive.masks)
    ages = f"{np.mean(drive.ages_s):.2f}, {max(drive.ages_s):.2f} s" if has_masks and not per_frame else "-"
    return [
        f"{'*' if is_chosen else ' '} {_shortened(row.model)}",
        "yes" if row.fits else "no",
        f"{number(latency_ms(drive, 50))} ms",
        f"{number(latency_ms(drive, 99))} ms",
        "-" if per_frame else f"{drive.keyframes / drive.seconds:.1f}",
        ages,
        f"{row.load:.2f}",
        f"{measured.resident_mb:.0f} MB",
        _miou(row),
    ]


def _shortened(model: str) -> str:
    return model if len(model) <= _NAME else f"...{model[3 - _NAME :]}"


def _miou(row: Row) -> str:
    accuracy = row.accuracy
    if not accuracy.measured_on:
        return "-"
    change = f"{-accuracy.loss:+.1f}"  # a feature of a frame ago may even be better
    return f"~{change}" if accuracy.miou is None else f"{accuracy.miou:.1f} ({change})"


def _notes(rows: Sequence[Row]) -> list[str]:
    job = rows[0].measured.job
    ros_ms = 1e3 * ros_cost_s(job.image_size)
    frames = min(row.measured.drive.masks for row in rows)
    notes = [
        f"p50, p99: image in, mask out, of {frames} frames{' or more' if len(rows) > 1 else ''}"
        + ("; with fewer than 100 p99 says little: give more --seconds" if frames < _FEW else ""),
        "age of feature: mean, oldest. processor: share of all cores, at most, with "
        f"{ros_ms:.1f} ms per frame for ROS. memory: resident, without ROS",
        "mIoU: expected on CamVid val at these ages (and against features of the frame itself)",
    ]
    others = sorted({row.accuracy.measured_on for row in rows if row.accuracy.miou is None} - {""})
    if others:
        notes.append(f"~: not measured for this model; what {others[0]} loses at these ages")
    notes += [f"{row.model}: {words}" for row in rows if (words := others_words(row))]
    return notes


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(
        text, _COLUMNS, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False
    )
