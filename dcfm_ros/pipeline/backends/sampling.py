# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Aligned features on a CPU: common contributions sampled through a map of motion."""

from __future__ import annotations

import numpy as np

from dcfm_ros.compiled import njit
from dcfm_ros.motion.maps import STILL, on_grid
from dcfm_ros.pipeline.parts import in_parts


def sampled(feature: np.ndarray, motion: np.ndarray, out: np.ndarray) -> np.ndarray:
    """feature (1, h, w, C) float32 as seen through a map of motion on any grid, into `out` of the same shape,
    which it returns.

    Bilinear, border replicated, as `model.alignment.aligned`; but cells that all but stand still are copied.
    """
    motion = on_grid(motion, feature.shape[1:3])
    in_parts(feature.shape[1], lambda first, last: _sample(feature[0], motion, out[0], first, last))
    return out


@njit(cache=True, nogil=True, fastmath=True)
def _sample(feature, motion, out, first, last):
    height, width, channels = feature.shape
    for y in range(first, last):
        for x in range(width):
            across, down = motion[y, x, 0], motion[y, x, 1]
            if abs(across) < STILL and abs(down) < STILL:
                out[y, x] = feature[y, x]
                continue
            column = min(max(x + across, np.float32(0.0)), np.float32(width - 1))
            row = min(max(y + down, np.float32(0.0)), np.float32(height - 1))
            left, top = int(column), int(row)
            right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
            fx, fy = column - np.float32(left), row - np.float32(top)
            a, b = (np.float32(1.0) - fx) * (np.float32(1.0) - fy), fx * (np.float32(1.0) - fy)
            c, d = (np.float32(1.0) - fx) * fy, fx * fy
            upper_left, upper_right = feature[top, left], feature[top, right]
            lower_left, lower_right = feature[bottom, left], feature[bottom, right]
            target = out[y, x]
            for k in range(channels):
                target[k] = a * upper_left[k] + b * upper_right[k] + c * lower_left[k] + d * lower_right[k]
