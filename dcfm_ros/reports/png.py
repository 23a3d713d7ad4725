# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images as PNG files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np


def write_png(path: Path, image: np.ndarray) -> None:
    """Write an image, (height, width) or (height, width, 3) uint8, BGR. An OSError names the file.

    Not by `cv2.imwrite`, which crashes at names that are not UTF-8, and does not say why it failed.
    """
    try:
        path.write_bytes(cv2.imencode(".png", image)[1].tobytes())
    except OSError as error:
        raise OSError(
            f"{path} could not be written ({error.strerror}): free space there, or give another folder with "
            "--out"
        ) from error
