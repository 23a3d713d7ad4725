# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Converts a decoded video frame to RGB as a player does; for video files and packets in messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import av

BT601, BT709 = 5, 1  # FFmpeg's numbers of the colour matrices
_UNMARKED = 2
_SD = (1024, 576)  # players assume BT.709 for larger videos without a declared matrix


def to_rgb(
    frame: av.VideoFrame, width: int | None = None, height: int | None = None, unmarked: int | None = None
) -> np.ndarray:
    """Return (H, W, 3) uint8 RGB, converted with the matrix and range declared in the stream.

    width, height: size of the result; None: that of the frame
    unmarked: matrix if the stream declares none, BT601 or BT709; None: chosen by size, as players do
    """
    width, height = width or frame.width, height or frame.height
    if frame.colorspace != _UNMARKED:
        matrix = None
    elif unmarked is not None:
        matrix = unmarked
    else:
        matrix = BT709 if frame.width > _SD[0] or frame.height > _SD[1] else None
    return frame.reformat(width, height, "rgb24", src_colorspace=matrix).to_ndarray()
