# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The DDS middleware of this process, by ROS's environment variables."""

from __future__ import annotations

import os


def is_fast_dds() -> bool:
    return os.environ.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp").startswith("rmw_fastrtps")


def is_local() -> bool:
    """Return whether ROS looks for nodes on this machine alone."""
    return os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "").upper() == "LOCALHOST"


def domain() -> int:
    text = os.environ.get("ROS_DOMAIN_ID", "")
    return int(text) if text.isdigit() else 0


def domain_ports() -> range:
    """Return the ports of the domain: 10 of all participants, then two for each (DDSI-RTPS, 9.6.2)."""
    first = 7400 + 250 * domain()
    return range(first, first + 250)
