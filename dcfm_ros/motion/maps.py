# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Motion maps: where each point of one frame is in another.

A map is (h, w, 2) float32, offsets (x, y) in cells of its own grid: what is at (x, y) in the first frame is
at (x, y) + map[y, x] in the second. Positions outside are clamped to the border.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

STILL = 0.125  # cells; less motion does not change a mask, and sensor noise alone causes as much


def moved(picture: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """Warp the second frame's picture, (h, w) or (h, w, channels), to the first frame of the map."""
    height, width = motion.shape[:2]
    places = _places(height, width) + motion
    return cv2.remap(  # type: ignore[call-overload]  # None: both coordinates are in `places`
        picture, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


def composed(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the map from A to C, given the maps from A to B and from B to C."""
    return first + moved(second, first)


def on_grid(motion: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Resample a map to a grid of size (h, w), not larger than its own, by area averaging; offsets in cells
    of the new grid."""
    height, width = motion.shape[:2]
    if (height, width) == size:
        return motion
    small = cv2.resize(motion, size[::-1], interpolation=cv2.INTER_AREA)
    small *= np.array([size[1] / width, size[0] / height], np.float32)
    return small


def is_still(motion: np.ndarray) -> bool:
    """Return whether all motion is below STILL, a fraction of a cell."""
    return motion.min() > -STILL and motion.max() < STILL


def explains(here: np.ndarray, there: np.ndarray, there_moved: np.ndarray) -> bool:
    """Return whether warping brings the other frame's picture (h, w, 3) uint8 closer to this frame's. It does
    not under a covered lens, a flash or noise: there a map is misleading."""
    return difference(here, there_moved) < difference(here, there)


def mean_length(motion: np.ndarray, cell: tuple[float, float] = (1.0, 1.0)) -> float:
    """Return the mean length of the offsets, in units in which a cell measures (width, height)."""
    across, down = motion[..., 0] * np.float32(cell[0]), motion[..., 1] * np.float32(cell[1])
    # OpenCV's mean depends on the memory alignment
    return float(np.hypot(across, down).mean(dtype=np.float64))


def difference(first: np.ndarray, second: np.ndarray) -> float:
    """Return the mean absolute difference of two pictures (h, w, 3) uint8."""
    return sum(cv2.mean(cv2.absdiff(first, second))) / 3


@lru_cache(maxsize=16)
def _places(height: int, width: int) -> np.ndarray:
    """Return the coordinates (x, y) of each cell, (height, width, 2) float32."""
    return np.dstack(np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)))
