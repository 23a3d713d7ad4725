# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Targets of the viewer: a live one, or a file. Standard library only, so that options can check them."""

from __future__ import annotations

LIVE = ("rerun", "rerun:web")
DESCRIPTION = f"watch it in the Rerun viewer: {', '.join(LIVE)}, or a file name ending in .rrd to write"


def check_target(target: str) -> None:
    """Raise ValueError for what is no target of `open_viewer`."""
    if target not in LIVE and not target.endswith(".rrd"):
        raise ValueError(
            f"viewer {target!r}: use rerun, rerun:web, or the name of a file to write that ends in .rrd"
        )
