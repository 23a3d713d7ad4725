# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Stamps of messages from whole nanoseconds; the other way is `dcfm_ros/stamps.py`."""

from __future__ import annotations

from dcfm_ros.bags.types import typestore
from dcfm_ros.stamps import NS_PER_S

_LAST_S = 2**31 - 1  # of int32 seconds
_FIRST_NS, _LAST_NS = -(2**31) * NS_PER_S, _LAST_S * NS_PER_S + 2**32 - 1  # what uint32 nanoseconds add to it


def stamp_message(ns: int):
    """A builtin_interfaces/Time of rosbags' own class; beyond what it holds, the nearest that it does.

    A camera whose clock is wrong may send the last second with more than 10^9 nanoseconds: they stay there,
    as no second follows that could take them. A stamp must not end a run, and one that came from a message
    comes back as the same time.
    """
    ns = min(max(int(ns), _FIRST_NS), _LAST_NS)
    seconds = min(ns // NS_PER_S, _LAST_S)
    return typestore().types["builtin_interfaces/msg/Time"](sec=seconds, nanosec=ns - seconds * NS_PER_S)
