# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Dense motion between two pictures of a camera."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import cv2
import numpy as np

from dcfm_ros.motion.maps import difference, moved, on_grid

# Of a network input: flow is estimated at half its size and kept at a quarter, the usual grid of common
# features. Finer brings nothing, coarser loses (docs/method.md).
FLOW_SHRINK, MAP_SHRINK = 2, 4
# A search finds likenesses between noise and a scene, too, and takes up to 0.07 from their difference. What
# it finds of a scene that moves leaves less, but for the noise of the sensor, in grey levels.
_EXPLAINED, _NOISE = 0.8, 1.5
_LEAST_SIDE = 32  # of the pictures: a patch of 8 at the finest scale of the search, a quarter


class FlowEstimator(Protocol):
    """Estimates motion between two grey pictures (H, W) uint8. For one thread at a time."""

    def flow(self, here: np.ndarray, there: np.ndarray) -> np.ndarray:
        """Where each pixel of `here` is in `there`: a map (H, W, 2) float32, see `maps`."""


class DenseInverseSearch:
    """Kroeger et al., "Fast Optical Flow using Dense Inverse Search", 2016, as OpenCV has it, in its fastest
    preset.

    OpenCV chooses scales by the longer side; where the shorter one then has less than a patch, it reads
    beyond the picture.
    """

    def __init__(self):
        self._search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)

    def flow(self, here: np.ndarray, there: np.ndarray) -> np.ndarray:
        height, width = here.shape
        if min(height, width) >= _LEAST_SIDE:
            return self._search.calc(here, there, None)
        return np.ascontiguousarray(self._search.calc(_widened(here), _widened(there), None)[:height, :width])


def _widened(picture: np.ndarray) -> np.ndarray:
    """With its last rows and columns repeated up to _LEAST_SIDE."""
    down, right = (max(0, _LEAST_SIDE - side) for side in picture.shape)
    return cv2.copyMakeBorder(picture, 0, down, 0, right, cv2.BORDER_REPLICATE)


class View(NamedTuple):
    """A frame as motion is estimated on it."""

    grey: np.ndarray  # (h/2, w/2) uint8
    picture: np.ndarray  # (h/4, w/4, 3) uint8 RGB

    @classmethod
    def of(cls, image: np.ndarray) -> View:
        """image: network input (h, w, 3) uint8 RGB"""
        half = _shrunk(image, FLOW_SHRINK)
        return cls(cv2.cvtColor(half, cv2.COLOR_RGB2GRAY), _shrunk(half, MAP_SHRINK // FLOW_SHRINK))

    @property
    def nbytes(self) -> int:
        return self.grey.nbytes + self.picture.nbytes


def flow_map(estimator: FlowEstimator, here: View, there: View) -> np.ndarray:
    """The map (h/4, w/4, 2) of the motion between two adjacent frames; none (zeros) where what was found
    explains too little: it would spoil all maps that it is composed into."""
    return adjacent(estimator, here, there)[0]


def adjacent(estimator: FlowEstimator, here: View, there: View) -> tuple[np.ndarray, np.ndarray]:
    """The same, and the other frame's picture as it has moved by it."""
    flow = on_grid(estimator.flow(here.grey, there.grey), here.picture.shape[:2])
    picture = moved(there.picture, flow)
    if difference(here.picture, picture) < _EXPLAINED * difference(here.picture, there.picture) + _NOISE:
        return flow, picture
    return np.zeros_like(flow), there.picture


def _shrunk(image: np.ndarray, factor: int) -> np.ndarray:
    height, width = image.shape[:2]
    return cv2.resize(image, (width // factor, height // factor), interpolation=cv2.INTER_AREA)
