# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A decoded frame of a video as a player shows it: its colours, its shape and which way up it is."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from dcfm_ros.video_colours import to_rgb

if TYPE_CHECKING:
    import av

_HDR = {16: "PQ", 18: "HLG"}  # of transfer curves
_ROUNDING = 0.01  # of encoders that crop: 853x480 says that it is 16:9


def picture(frame: av.VideoFrame, aspect: Fraction | None) -> np.ndarray:
    """(H, W, 3) uint8 RGB, upright.

    aspect: width of a pixel by its height, None or 0 where unknown; where they differ by more than rounding
        the picture is made wider or higher, so that its pixels are square
    """
    width, height = _square(frame.width, frame.height, aspect or Fraction(1))
    return _upright(to_rgb(frame, width, height), frame)


def hdr(frame: av.VideoFrame) -> str:
    """What kind of high dynamic range the frame has; empty if none."""
    return _HDR.get(frame.color_trc, "")


def _square(width, height, aspect):
    if abs(aspect - 1) <= _ROUNDING:
        return width, height
    return (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))


def _upright(image, frame):
    """Phones store the picture as the sensor lies and a matrix beside it, which says where its axes go when
    it is shown."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return image
    x_to_x, x_to_y, _, y_to_x, y_to_y = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()  # in 1/65536
    if abs(x_to_y) + abs(y_to_x) > abs(x_to_x) + abs(y_to_y):  # an axis becomes the other one
        image, across, down = image.swapaxes(0, 1), y_to_x, x_to_y
    else:
        across, down = x_to_x, y_to_y
    return np.ascontiguousarray(image[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1])
