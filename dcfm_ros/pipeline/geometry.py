"""The network's input size for a camera: the model's pixel budget in the camera's own shape."""

from __future__ import annotations

import math

STEP = 8  # input sides are multiples of 8: whole cells at stride 4, and 480x360 stays itself


def input_size(camera: tuple[int, int], model: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of the network input for a camera of (height, width) and a model's (height, width).

    The camera's aspect ratio is kept to within rounding; the number of pixels is about the model's.
    A camera of the model's own size passes unresized.
    """
    scale = math.sqrt(model[0] * model[1] / (camera[0] * camera[1]))
    height, width = (max(4 * STEP, STEP * round(side * scale / STEP)) for side in camera)
    return height, width
