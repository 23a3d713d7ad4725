# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page of many recordings: how each did, with links to their pages; from `fleet.html` and the style of
those."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dcfm_ros.reports.page import figures
from dcfm_ros.reports.page.templates import inline, template


@dataclass(frozen=True)
class _Column:
    title: str
    name: str  # of the figure
    text: Callable[[Any], str]


_COLUMNS = (
    _Column("frames", "frames", figures.number),
    _Column("frames/s", "frames_per_s", partial(figures.number, decimals=1)),
    _Column("keyframes per frame", "keyframe_rate", figures.percent),
    _Column("mIoU", "miou", figures.percent),
    _Column("steady8", "steady8", figures.percent),
    _Column("flicker", "flicker", figures.percent),
)


def write_index(file: Path, summary: dict) -> None:
    """Write the page of a fleet's summary.json, whose links lead to files beside it."""
    bags, rows = summary["bags"], summary["rows"]
    known = [column for column in _COLUMNS if any(one.get(column.name) is not None for one in [*bags, *rows])]
    count = len(bags)
    file.write_text(
        template("fleet.html", link=_link).render(
            title=f"{count} recording{'s' * (count != 1)} {summary['command'].rstrip('e')}ed",
            summary=summary,
            columns=known,
            total=rows[0] if rows else {},
            model=summary["model"] or {},
            undone=[bag for bag in bags if bag["status"] != "done"],
            style=inline("style.css"),
        ),
        encoding="utf-8",
    )


def _link(path: str) -> str:
    """A path beside the page as an address, which no name makes one of another place."""
    return f"./{quote(path)}"
