# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Figures as text: columns under each other, shares in per cent."""

from __future__ import annotations

from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines with columns under each other: the first to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows
    ]


def percent(share: float | None, decimals: int = 2, missing: str = "-") -> str:
    """A share 0..1 in per cent, without the sign; a dash where there is none."""
    return missing if share is None else f"{100 * share:.{decimals}f}"


def number(value: float | None, decimals: int = 1) -> str:
    """Or a dash."""
    return "-" if value is None else f"{value:.{decimals}f}"


def counted(number: int, what: str) -> str:
    """As in `1 mask`, `2 masks`."""
    return f"{number} {what}{'' if number == 1 else 's'}"
