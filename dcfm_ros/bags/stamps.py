# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Stamps of messages as whole nanoseconds, and back."""

from __future__ import annotations

from typing import Any

from dcfm_ros.bags.types import typestore

NS_PER_S = 1_000_000_000


def stamp_ns(stamp: Any) -> int:
    """A builtin_interfaces/Time in nanoseconds."""
    return stamp.sec * NS_PER_S + stamp.nanosec


def stamp_message(ns: int):
    """A builtin_interfaces/Time of rosbags' own class."""
    seconds, nanoseconds = divmod(int(ns), NS_PER_S)
    return typestore().types["builtin_interfaces/msg/Time"](sec=seconds, nanosec=nanoseconds)
