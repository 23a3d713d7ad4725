# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images as the network takes them: their size, and their normalisation."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import torch
from torch import Tensor

from dcfm_ros.model.normalisation import Normalisation


def factors(normalisation: Normalisation, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
    """Return what to subtract from RGB 0..255, and the factor to multiply the difference by, (3,) each."""
    mean, std = (torch.tensor(values, device=device) for values in normalisation)
    return 255.0 * mean, 1.0 / (255.0 * std)


def resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return an image (H, W, 3) uint8 at a size (height, width): averaged if both sides shrink, else
    interpolated."""
    shrinking = image.shape[0] >= size[0] and image.shape[1] >= size[1]
    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR)


def normalised(image: Tensor, normalisation: Normalisation) -> Tensor:
    """Convert (B, H, W, 3) uint8 RGB to normalised (B, 3, H, W) float32 in channels-last layout."""
    mean, scale = (
        _constants(normalisation, image.device) if image.is_cuda else factors(normalisation, image.device)
    )
    return ((image.float() - mean) * scale).permute(0, 3, 1, 2)


@cache
def _constants(normalisation: Normalisation, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the factors on a device, cached: each copy to a GPU would synchronise, and cannot be part of a
    CUDA graph."""
    with torch.inference_mode(False):  # usable by autograd, whoever calls first
        return factors(normalisation, device)
