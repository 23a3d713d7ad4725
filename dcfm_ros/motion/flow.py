# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Dense optical flow between two frames of a camera."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import cv2
import numpy as np

from dcfm_ros.motion.maps import difference, moved, on_grid

# Flow is estimated at half the network input's size and stored at a quarter, the usual grid of common
# features. A finer grid gains nothing, a coarser one loses accuracy (docs/method.md).
FLOW_SHRINK, MAP_SHRINK = 2, 4
# The search finds similarities even between noise and a scene and reduces their difference by up to 0.07. For
# a moving scene the remaining difference is smaller, apart from sensor noise, in grey levels.
_EXPLAINED, _NOISE = 0.8, 1.5
_LEAST_SIDE = 32  # pixels: a patch of 8 at the finest scale of the search, a quarter


class FlowEstimator(Protocol):
    """Estimates motion between two grey images (H, W) uint8. Not thread-safe."""

    def flow(self, here: np.ndarray, there: np.ndarray) -> np.ndarray:
        """Return where each pixel of `here` is in `there`: a map (H, W, 2) float32, see `maps`."""


class DenseInverseSearch:
    """Kroeger et al., "Fast Optical Flow using Dense Inverse Search", 2016, from OpenCV, with its fastest
    preset.

    OpenCV chooses the scales by the longer side. If the shorter side is then smaller than a patch, it reads
    out of bounds; small images are padded here.
    """

    def __init__(self) -> None:
        self._search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)

    def flow(self, here: np.ndarray, there: np.ndarray) -> np.ndarray:
        height, width = here.shape
        if min(height, width) >= _LEAST_SIDE:
            return self._flow(here, there)
        return np.ascontiguousarray(self._flow(_widened(here), _widened(there))[:height, :width])

    def _flow(self, here: np.ndarray, there: np.ndarray) -> np.ndarray:
        return self._search.calc(here, there, None)  # type: ignore[call-overload]  # None: a new array


def _widened(picture: np.ndarray) -> np.ndarray:
    """Pad an image to _LEAST_SIDE by repeating its last rows and columns."""
    down, right = (max(0, _LEAST_SIDE - side) for side in picture.shape)
    return cv2.copyMakeBorder(picture, 0, down, 0, right, cv2.BORDER_REPLICATE)


class View(NamedTuple):
    """A frame in the form used for motion estimation."""

    grey: np.ndarray  # (h/2, w/2) uint8
    picture: np.ndarray  # (h/4, w/4, 3) uint8 RGB

    @classmethod
    def of(cls, image: np.ndarray) -> View:
        """Create a view. image: network input (h, w, 3) uint8 RGB"""
        half = _shrunk(image, FLOW_SHRINK)
        return cls(cv2.cvtColor(half, cv2.COLOR_RGB2GRAY), _shrunk(half, MAP_SHRINK // FLOW_SHRINK))

    @property
    def nbytes(self) -> int:
        return self.grey.nbytes + self.picture.nbytes


def flow_map(estimator: FlowEstimator, here: View, there: View) -> np.ndarray:
    """Return the motion map (h/4, w/4, 2) between two adjacent frames; zeros if the estimate explains too
    little of the change, as it would spoil every map composed with it."""
    return flow_and_warped(estimator, here, there)[0]


def flow_and_warped(estimator: FlowEstimator, here: View, there: View) -> tuple[np.ndarray, np.ndarray]:
    """Same as `flow_map`, and the other frame's picture warped by the map."""
    flow = on_grid(estimator.flow(here.grey, there.grey), here.picture.shape[:2])
    picture = moved(there.picture, flow)
    if difference(here.picture, picture) < _EXPLAINED * difference(here.picture, there.picture) + _NOISE:
        return flow, picture
    return np.zeros_like(flow), there.picture


def _shrunk(image: np.ndarray, factor: int) -> np.ndarray:
    height, width = image.shape[:2]
    return cv2.resize(image, (width // factor, height // factor), interpolation=cv2.INTER_AREA)
