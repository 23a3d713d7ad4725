# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether other processes can find this one's nodes: Fast DDS looks for few on a machine of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from dcfm_ros.ros.dds import domain, domain_ports, is_fast_dds, is_local

_FOUND = 32  # participants, beginning with the first, that others look for with LOCALHOST
_PROC = Path("/proc")


def why_not_found(proc: Path = _PROC) -> str:
    """Return a warning if nodes of other processes may not find this process's, once it has a node; else "".

    With ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST, participants (processes with nodes) send word of themselves
    to the ports of the domain's first 32 on this machine. Further ones do not find each other, without a
    word.
    """
    if not (is_fast_dds() and is_local()):
        return ""
    looked_at = domain_ports()[10 : 10 + 2 * _FOUND]
    try:
        if any(port in looked_at for port in _own_ports(proc)):
            return ""
    except OSError:
        return ""
    return (
        f"this process is none of the first {_FOUND} in DDS domain {domain()} on this machine, and with "
        "ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST Fast DDS looks for those alone: nodes that start later may "
        "not find it. End processes that are not needed (ros2 daemon stop), give another ROS_DOMAIN_ID, or "
        "set ROS_AUTOMATIC_DISCOVERY_RANGE=SUBNET"
    )


def _own_ports(proc: Path) -> Iterator[int]:
    """Yield the UDP ports at which this process listens."""
    own = set()
    for entry in (proc / "self" / "fd").iterdir():
        try:
            own.add(os.readlink(entry))
        except OSError:  # closed meanwhile
            continue
    for table in ("udp", "udp6"):
        file = proc / "self" / "net" / table
        for line in file.read_text().splitlines()[1:] if file.exists() else ():
            fields = line.split()
            if f"socket:[{fields[9]}]" in own:
                yield int(fields[1].rpartition(":")[2], 16)
