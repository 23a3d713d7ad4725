# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The folder that a command writes to."""

from __future__ import annotations

import os
from pathlib import Path


def output_folder(folder: Path) -> Path:
    """Make the folder, and those above it, where it is not there; an OSError that names it where nothing can be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(f"cannot make the folder {folder} ({error.strerror}): give another one with --out") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OSError(f"cannot write to the folder {folder} (permission denied): give another one with --out")
    return folder
