# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recordings (rosbag2) are no video source: `bags/` reads them."""

from __future__ import annotations

from pathlib import Path

from dcfm_ros.sources.errors import SourceError
from dcfm_ros.sources.source_kinds import SourceRequest

_ENDINGS = (".mcap", ".db3")


def recognises(name: str) -> bool:
    """Return whether this source opens the name; used by the table of sources."""
    path = Path(name)
    return any(one.suffix in _ENDINGS for one in (path, *(path.iterdir() if path.is_dir() else ())))


def open_video(request: SourceRequest) -> None:
    raise SourceError(f"{request.name} is a recording: `dcfm bag evaluate` and `dcfm bag segment` take it")
