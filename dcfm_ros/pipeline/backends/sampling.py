# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Feature alignment on the CPU: samples common contributions through a motion map."""

from __future__ import annotations

import numpy as np

from dcfm_ros.compiled import njit
from dcfm_ros.motion.maps import STILL, on_grid
from dcfm_ros.pipeline.parallel_rows import parallel_rows


def sampled(feature: np.ndarray, motion: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Sample a feature (1, h, w, C) float32 through a motion map on any grid, into `out` of the same shape,
    which is returned.

    Bilinear with replicated border, like `model.alignment.aligned`, except that cells with almost no motion
    are copied.
    """
    motion = on_grid(motion, feature.shape[1:3])
    parallel_rows(feature.shape[1], lambda first, last: _sample(feature[0], motion, out[0], first, last))
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
