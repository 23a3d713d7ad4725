# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A frame that may be chosen: what is kept of it while a recording is looked at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Candidate:
    """Some kilobytes of one frame; its image is not kept."""

    camera: str
    index: int  # among the camera's images
    stamp_ns: int
    time_ns: int
    sharpness: float  # of `picture.sharpness`
    brightness: float  # mean grey level, 0..255
    uncertainty: float  # mean entropy of the model's probabilities, 0..1
    feature: np.ndarray  # (cells x channels,) float16: the common feature on a coarse grid
    colour: np.ndarray  # (cells x 3,) float16: the colours on a coarse grid
    thumbnail: np.ndarray  # (h, w) uint8 grey


@dataclass
class Looked:
    """What was seen of a recording; counts are of images."""

    images: int = 0  # there were
    looked_at: int = 0
    damaged: int = 0  # of those looked at
    dark: int = 0  # black or blank
    example: str = ""  # error of the first damaged one
