# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `dcfm evaluate` prints of its report."""

from __future__ import annotations

from dcfm_ros.evaluation.schedule import ALIGNMENTS, Schedule
from dcfm_ros.evaluation.timing import WHAT
from dcfm_ros.reports.text import aligned, number, percent

TOO_SOON = " *"  # mark of rows which the live pipeline does not have


def evaluation_table(report: dict) -> str:
    """What `dcfm evaluate` prints of its report."""
    data = report["data"]
    models = [
        f"{m['name']} ({m['architecture']}, {m['backbone']}, {m['backend']} on {m['device']}, "
        f"{m['precision']}), network input {input_rule(m)}"
        for m in report["models"]
    ]
    times = "fps" in report
    header = [
        "mode",
        "features",
        "keyframes",
        "per frame",
        "mIoU",
        "mIoU_all",
        "wIoU",
        "mVC8",
        "mVC16",
        "mIoU key",
        "mIoU other",
    ]
    rows = [header + ([f"FPS {way}" for way in WHAT] if times else [])]
    for row in report["rows"]:
        schedule = schedule_of(row)
        cells = [
            schedule.mode_name,
            schedule.alignment_name,
            schedule.keyframe_rule + TOO_SOON * bool(row["keyframes_too_soon"]),
            number(row["keyframe_rate"], 3),
        ]
        cells += [
            percent(row[name])
            for name in ("miou", "miou_all", "wiou", "mvc8", "mvc16", "miou_keyframes", "miou_other_frames")
        ]
        rows.append(cells + ([number(row[f"fps_{way}"], 1) for way in WHAT] if times else []))
    lines = [
        f"{data['name']}: {data['labelled_frames']} labelled of {data['frames']} frames in {data['clips']} "
        f"clips",
        *models,
        "",
        *aligned(rows),
    ]
    if report["by_age"]:
        ways = report["by_age"]["miou"]
        ages = range(max(map(len, ways.values())))
        lines += [
            "",
            *aligned(
                [
                    [
                        f"mIoU of {report['by_age']['frames']} frames by age of the common feature",
                        *map(str, ages),
                    ],
                    *([ALIGNMENTS[way], *map(percent, values)] for way, values in ways.items()),
                ]
            ),
        ]
    if times:
        lines += ["", *(f"FPS {way}: {what}" for way, what in WHAT.items())]
    lines += ["", "IoU and mVC in per cent; `per frame`: keyframes per frame"]
    if any(row["keyframes_too_soon"] for row in report["rows"]):
        lines.append(
            f"{TOO_SOON.strip()}: keyframes come before the one before them serves, as if the deep path ran "
            "several times at once; live it runs once, and a newer request takes the place of one that waits"
        )
    return "\n".join(lines + [f"note: {note}" for note in report["notes"]])


def input_rule(model: dict) -> str:
    """What size the inputs of a report's model had."""
    height, width = model["input"]
    if model["exact_size"]:
        return f"{height}x{width} exactly"
    return f"about {height}x{width} pixels in multiples of 32, as live"


def schedule_of(row: dict) -> Schedule:
    """The schedule of a report's row."""
    return Schedule(row["mode"], row["interval"], row["threshold"], row["delay"], row["alignment"])
