# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Computes the network's input size for a camera: the model's pixel budget in the camera's aspect ratio."""

from __future__ import annotations

import itertools
import math

# Sides are multiples of 32, the encoder's largest stride. Otherwise the upsampled deep stages are shifted
# against the shallow stage: street11_b0 loses 4 points of mIoU at 480x360 compared with 480x352.
STEP = 32
# Largest ratio of the input's sides. Cameras and panoramas have at most 4; a strip of 16384x1, undistorted,
# would need an input of ten times the model's pixels.
MOST_ASPECT = 8.0


def input_size(camera: tuple[int, int], model: tuple[int, int]) -> tuple[int, int]:
    """Return (height, width) of the network input for a camera and a model, both (height, width).

    Among the candidate sizes around the model's number of pixels and the camera's aspect ratio, the one
    closest in both is chosen, with the aspect ratio counting twice. Rounding distorts by a few per cent. The
    aspect ratio of very elongated images is limited to MOST_ASPECT, or to the model's own.
    """
    most = max(MOST_ASPECT, model[1] / model[0], model[0] / model[1])
    aspect, pixels = min(max(camera[1] / camera[0], 1 / most), most), model[0] * model[1]
    height, width = math.sqrt(pixels / aspect), math.sqrt(pixels * aspect)

    def cost(size: tuple[int, int]) -> float:
        return 2 * abs(math.log(size[1] / size[0] / aspect)) + abs(math.log(size[0] * size[1] / pixels))

    return min(itertools.product(_around(height), _around(width)), key=cost)


def _around(side: float) -> tuple[int, int]:
    """Return the multiples of STEP below and above."""
    low = max(STEP, STEP * math.floor(side / STEP))
    return low, max(low, STEP * math.ceil(side / STEP))
