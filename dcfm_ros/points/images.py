# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reading of masks and depth images from messages with the fields of `sensor_msgs/Image`, with validation;
any row step and byte order."""

from __future__ import annotations

from typing import Any

import numpy as np

from dcfm_ros.points.errors import PointsError
from dcfm_ros.points.rows import rows_of

_MASK_ENCODINGS = {"mono8": "u1", "8UC1": "u1"}
_DEPTH_ENCODINGS = {"16UC1": "u2", "32FC1": "f4"}  # REP 118
_MM_PER_M = np.float32(1000)


def read_mask(message: Any) -> np.ndarray:
    """Return class ids or confidences (H, W) uint8, a view of the message's data. Raises PointsError."""
    return _pixels(message, _MASK_ENCODINGS, "mask")


def read_depth(message: Any) -> np.ndarray:
    """Return depth (H, W) float32 in metres along the optical axis; NaN if there is none (0, negative, NaN,
    infinite).

    16UC1 is in millimetres, 32FC1 in metres (REP 118). Raises PointsError.
    """
    rows = _pixels(message, _DEPTH_ENCODINGS, "depth image")
    depth = rows / _MM_PER_M if message.encoding == "16UC1" else rows.astype(np.float32)  # either way a copy
    depth[~((depth > 0) & (depth < np.inf))] = np.nan
    return depth


def _pixels(message: Any, encodings: dict[str, str], what: str) -> np.ndarray:
    """Return a view of the pixels without row padding: (height, width)."""
    width, height, encoding = message.width, message.height, message.encoding
    if encoding not in encodings:
        raise PointsError(
            "encoding", f"{what} has encoding {encoding[:40]!r}: publish it as {' or '.join(encodings)}"
        )
    if not (width and height):
        raise PointsError("size", f"{what} is {width}×{height} pixels: its publisher must send a picture")
    kind = np.dtype(encodings[encoding]).newbyteorder(">" if message.is_bigendian else "<")
    return rows_of(message, kind, message.step, what, "step", f"a row of {width} pixels of {encoding} has")
