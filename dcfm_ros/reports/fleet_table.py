# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `dcfm bag evaluate` and `segment` print of many recordings."""

from __future__ import annotations

from dcfm_ros.reports.text import aligned, number, percent

# (title, figure, decimals; None for shares, which are shown in per cent)
_FIGURES = (
    ("frames", "frames", 0),
    ("frames/s", "frames_per_s", 1),
    ("per frame", "keyframe_rate", 3),
    ("mIoU", "miou", None),
    ("steady8", "steady8", None),
    ("flicker", "flicker", None),
)


def fleet_table(summary: dict) -> str:
    """Lines of text: a recording each, all together, and what there is to say of them."""
    bags, rows = summary["bags"], summary["rows"]
    total = {**rows[0], "frames_per_s": summary["frames_per_s"]} if rows else {}
    figures = [figure for figure in _FIGURES if any(one.get(figure[1]) is not None for one in [*bags, total])]
    lines = aligned(
        [
            ["recording", *(title for title, *_ in figures), "status"],
            *([bag["name"], *_cells(bag, figures), bag["status"]] for bag in bags),
            [
                "all together",
                *_cells(total, figures),
                ", ".join(f"{count} {status}" for status, count in summary["counts"].items()),
            ],
        ]
    )
    workers = (
        f"{summary['workers']} "
        f"worker{'s' if summary['workers'] > 1 else ''}{' on Ray' if summary['ray'] else ''}"
    )
    lines += [
        "",
        f"{summary['seconds']:g} s with {workers}; per frame: keyframes per frame; all together, frames/s "
        "are of the whole time; the rest is what one run over all would have given, in per cent",
    ]
    lines += [f"{bag['status']}: {bag['name']}: {bag['reason']}" for bag in bags if bag["reason"]]
    lines += [f"note: {bag['name']}: {note}" for bag in bags for note in bag.get("notes", ())]
    return "\n".join(lines)


def fleet_files(out: str) -> list[str]:
    """The files to open first, of a fleet's folder."""
    return [f"{out}/index.html", f"{out}/summary.json"]


def _cells(figures: dict, wanted: list) -> list[str]:
    return [
        percent(figures.get(name)) if decimals is None else number(figures.get(name), decimals)
        for _, name, decimals in wanted
    ]
