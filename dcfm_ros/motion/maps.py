# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Maps of motion: where each place of one frame is in another.

A map is (h, w, 2) float32, offsets (x, y) in cells of its own grid: what is at (x, y) in the one frame is at
(x, y) + map[y, x] in the other. What lies outside is taken from the border.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

STILL = 0.125  # cells: less motion changes no mask, and sensors' noise alone moves things as far


def moved(picture: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """The other frame's picture, (h, w) or (h, w, channels), as seen from the frame that the map is of."""
    height, width = motion.shape[:2]
    return cv2.remap(
        picture, _places(height, width) + motion, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


def composed(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The map from A to C, of those from A to B and from B to C."""
    return first + moved(second, first)


def on_grid(motion: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A map on a grid of another size (h, w), smaller or as large, by averaging over areas; offsets in its
    cells."""
    height, width = motion.shape[:2]
    if (height, width) == size:
        return motion
    small = cv2.resize(motion, size[::-1], interpolation=cv2.INTER_AREA)
    small *= np.float32([size[1] / width, size[0] / height])
    return small


def stands_still(motion: np.ndarray) -> bool:
    """Does nothing move by more than a fraction of a cell?"""
    return motion.min() > -STILL and motion.max() < STILL


def explains(here: np.ndarray, there: np.ndarray, there_moved: np.ndarray) -> bool:
    """Is the other frame's picture (h, w, 3) uint8 more like this frame's once it has moved? Not where a lens
    is covered, in a flash or in noise: there a map leads astray."""
    return difference(here, there_moved) < difference(here, there)


def mean_length(motion: np.ndarray, cell: tuple[float, float] = (1.0, 1.0)) -> float:
    """Of the offsets, in units of which a cell is (width, height)."""
    across, down = motion[..., 0] * np.float32(cell[0]), motion[..., 1] * np.float32(cell[1])
    return float(np.hypot(across, down).mean(dtype=np.float64))  # OpenCV's depends on where the array lies


def difference(first: np.ndarray, second: np.ndarray) -> float:
    """Mean absolute difference of two pictures (h, w, 3) uint8."""
    return sum(cv2.mean(cv2.absdiff(first, second))) / 3


@lru_cache(maxsize=16)
def _places(height: int, width: int) -> np.ndarray:
    """(height, width, 2) float32: the coordinates (x, y) of each cell."""
    return np.dstack(np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)))
