# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How busy the cores of this process are, with all programs of the machine."""

from __future__ import annotations

import os
from pathlib import Path

_IDLE = (3, 4)  # columns of /proc/stat (man 5 proc): idle, iowait
_LAST = 8  # then come guests, who are in `user` already


def busy_s() -> float:
    """Seconds of work of these cores since the machine started, in steps of 10 ms; 0 where the system does
    not tell."""
    try:
        text = Path("/proc/stat").read_text()
    except OSError:
        return 0.0
    return busy_ticks(text, os.sched_getaffinity(0)) / os.sysconf("SC_CLK_TCK")


def busy_ticks(text: str, cores: set[int]) -> int:
    """The same of the text of /proc/stat, for the cores of these numbers."""
    ticks = 0
    for line in text.splitlines():
        name, *columns = line.split()
        if name[:3] == "cpu" and name[3:].isdigit() and int(name[3:]) in cores:
            ticks += sum(int(column) for at, column in enumerate(columns[:_LAST]) if at not in _IDLE)
    return ticks
