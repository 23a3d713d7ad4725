# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Natural order of file names."""

from __future__ import annotations

import re


def natural_key(name: str):
    """Return a sort key that compares numbers inside a name as numbers: frame2 before frame10."""
    parts = re.split(r"(\d+)", name)
    # The name itself breaks ties such as a1 and a01, so that the order never depends on the file system.
    return [int(p) if i % 2 else p.lower() for i, p in enumerate(parts)], name
