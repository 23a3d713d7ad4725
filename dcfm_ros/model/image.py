# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images as the network takes them: their size, and their normalisation."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

Colour = tuple[float, float, float]


class Normalisation(NamedTuple):
    """Mean and standard deviation of RGB / 255 for a network's images."""

    mean: Colour
    std: Colour

    def factors(self, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
        """Return what to subtract from RGB 0..255, and the factor to multiply the difference by, (3,)
        each."""
        return 255.0 * torch.tensor(self.mean, device=device), 1.0 / (
            255.0 * torch.tensor(self.std, device=device)
        )


IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
EFFICIENTNET_LITE = Normalisation((127 / 255,) * 3, (128 / 255,) * 3)  # as published: (value - 127) / 128


def resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return an image (H, W, 3) uint8 at a size (height, width): averaged if both sides shrink, else
    interpolated."""
    shrinking = image.shape[0] >= size[0] and image.shape[1] >= size[1]
    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR)


def normalised(image: Tensor, normalisation: Normalisation) -> Tensor:
    """Convert (B, H, W, 3) uint8 RGB to normalised (B, 3, H, W) float32 in channels-last layout."""
    mean, scale = (
        _constants(normalisation, image.device) if image.is_cuda else normalisation.factors(image.device)
    )
    return ((image.float() - mean) * scale).permute(0, 3, 1, 2)


@cache
def _constants(normalisation: Normalisation, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the factors on a device, cached: each copy to a GPU would synchronise, and cannot be part of a
    CUDA graph."""
    with torch.inference_mode(False):  # usable by autograd, whoever calls first
        return normalisation.factors(device)
