# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The order of files' names."""

from __future__ import annotations

import re


def natural_key(name: str):
    """Sort key in which numbers inside a name compare as numbers: frame2 comes before frame10."""
    parts = re.split(r"(\d+)", name)
    # The name itself decides between equals such as a1 and a01, so that the order never depends on the disk.
    return [int(p) if i % 2 else p.lower() for i, p in enumerate(parts)], name
