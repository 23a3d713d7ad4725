# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The values by which images are normalised for a network."""

from __future__ import annotations

from typing import NamedTuple

Colour = tuple[float, float, float]


class Normalisation(NamedTuple):
    """Mean and standard deviation of RGB / 255 for a network's images."""

    mean: Colour
    std: Colour


IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
EFFICIENTNET_LITE = Normalisation((127 / 255,) * 3, (128 / 255,) * 3)  # as published: (value - 127) / 128
