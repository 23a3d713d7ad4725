# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Converts message stamps to nanoseconds, whichever library created the message."""

from __future__ import annotations

from typing import Any

NS_PER_S = 1_000_000_000


def stamp_ns(stamp: Any) -> int:
    """Return a builtin_interfaces/Time in nanoseconds."""
    return stamp.sec * NS_PER_S + stamp.nanosec


def stamp_text(nanoseconds: int) -> str:
    """Return a stamp as ROS tools write it: seconds.nanoseconds."""
    return f"{nanoseconds // NS_PER_S}.{nanoseconds % NS_PER_S:09d}"
