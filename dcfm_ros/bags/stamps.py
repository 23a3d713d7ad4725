# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Creates stamp messages from nanoseconds; `dcfm_ros/stamps.py` converts the other way."""

from __future__ import annotations

from dcfm_ros.bags.types import typestore
from dcfm_ros.stamps import NS_PER_S

_LAST_S = 2**31 - 1  # largest int32 seconds
# with the largest uint32 nanoseconds
_FIRST_NS, _LAST_NS = (-(2**31) * NS_PER_S, _LAST_S * NS_PER_S + 2**32 - 1)


def stamp_message(ns: int):
    """Return a builtin_interfaces/Time of rosbags' own class; times out of its range are clipped.

    A camera with a wrong clock may send the last possible second with more than 10^9 nanoseconds. They are
    kept in the nanoseconds field, as there is no later second. A stamp must not end a run, and one that came
    from a message must convert back to the same time.
    """
    ns = min(max(int(ns), _FIRST_NS), _LAST_NS)
    seconds = min(ns // NS_PER_S, _LAST_S)
    return typestore().types["builtin_interfaces/msg/Time"](sec=seconds, nanosec=ns - seconds * NS_PER_S)
