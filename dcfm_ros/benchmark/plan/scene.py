# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The synthetic drive as a camera of any size and rate sees it."""

from __future__ import annotations

import math

import cv2
import numpy as np

from dcfm_ros.benchmark.scene import Scene
from dcfm_ros.sources.open import open_source

_RENDERED = (
    480 * 640
)  # pixels, at most: larger images are enlarged, which takes less time than rendering them
_LEAST_SIDE = 64
_FRAMES = 45
_BYTES = 64 * 2**20  # of all images, unless there would be fewer than _LEAST_FRAMES
_LEAST_FRAMES = 6


def camera_scene(size: tuple[int, int], rate_hz: float) -> Scene:
    """Adjacent frames of one shot; size: (H, W)."""
    height, width = size
    scale = min(1.0, math.sqrt(_RENDERED / (height * width)))
    rendered = (max(_LEAST_SIDE, round(width * scale)), max(_LEAST_SIDE, round(height * scale)))
    video = open_source("synthetic", rate_hz=rate_hz, width=rendered[0], height=rendered[1])
    images: list[np.ndarray] = []
    for index in range(min(_FRAMES, max(_LEAST_FRAMES, _BYTES // (3 * height * width)))):
        frame = video.frame(index)
        if frame.is_cut and len(images) > 1:
            break
        images.append(
            frame.image
            if frame.image.shape[:2] == size
            else cv2.resize(frame.image, (width, height), interpolation=cv2.INTER_LINEAR)
        )
    return Scene(images, rate_hz)


def megabytes(scene: Scene) -> float:
    """Memory of the images."""
    return sum(image.nbytes for image in scene.images) / 2**20
