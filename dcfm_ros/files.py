# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The folder that a command writes to, and pictures in it."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np


def output_folder(folder: Path) -> Path:
    """Make the folder, and those above it, where it is not there; an OSError that names it where nothing can
    be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            f"cannot make the folder {folder} ({error.strerror}): give another one with --out"
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OSError(f"cannot write to the folder {folder} (permission denied): give another one with --out")
    return folder


def write_png(path: Path, image: np.ndarray) -> None:
    """Write a picture, (height, width) or (height, width, 3) uint8, BGR; an OSError that names it where that
    fails.

    Not by `cv2.imwrite`, which crashes at names that are no UTF-8, and does not say why it failed.
    """
    try:
        path.write_bytes(cv2.imencode(".png", image)[1])
    except OSError as error:
        raise OSError(
            f"{path} could not be written ({error.strerror}): free space there, or give another folder with "
            "--out"
        ) from error
