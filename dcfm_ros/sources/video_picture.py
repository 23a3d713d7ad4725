# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Converts a decoded video frame to the picture that a player shows: colours, aspect ratio and
orientation."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from dcfm_ros.video_colours import to_rgb

if TYPE_CHECKING:
    import av

_HDR = {16: "PQ", 18: "HLG"}  # names of transfer characteristics
_ROUNDING = 0.01  # error of encoders that crop: 853x480 claims to be 16:9


def picture(frame: av.VideoFrame, aspect: Fraction | None) -> np.ndarray:
    """Return the frame as (H, W, 3) uint8 RGB, upright.

    aspect: width of a pixel divided by its height, None or 0 if unknown; if not 1 (apart from rounding), the
        picture is widened or heightened so that its pixels are square
    """
    width, height = _square(frame.width, frame.height, aspect or Fraction(1))
    return _upright(to_rgb(frame, width, height), frame)


def hdr(frame: av.VideoFrame) -> str:
    """Return the kind of high dynamic range of the frame; empty if none."""
    return _HDR.get(frame.color_trc, "")


def _square(width, height, aspect):
    if abs(aspect - 1) <= _ROUNDING:
        return width, height
    return (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))


def _upright(image, frame):
    """Rotate the picture. Phones store it in sensor orientation, with a matrix that says where its axes point
    when displayed."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return image
    x_to_x, x_to_y, _, y_to_x, y_to_y = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()  # in 1/65536
    if abs(x_to_y) + abs(y_to_x) > abs(x_to_x) + abs(y_to_y):  # the axes are swapped
        image, across, down = image.swapaxes(0, 1), y_to_x, x_to_y
    else:
        across, down = x_to_x, y_to_y
    return np.ascontiguousarray(image[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1])
