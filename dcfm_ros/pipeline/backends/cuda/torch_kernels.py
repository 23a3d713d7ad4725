# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The functions of `triton_kernels` in PyTorch operations, for a GPU without Triton, at the cost of logits at
full resolution."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from dcfm_ros.model.alignment import aligned as aligned_batch
from dcfm_ros.model.image import normalised
from dcfm_ros.model.normalisation import Normalisation

CHANNELS = 3


def normalised_pixels(image: Tensor, dtype: torch.dtype, normalisation: Normalisation) -> Tensor:
    """Normalise an image (H, W, 3) uint8 RGB to (1, CHANNELS, H, W) of that dtype in channels-last layout."""
    return normalised(image[None], normalisation).to(dtype)


def aligned(feature: Tensor, motion: Tensor) -> Tensor:
    """Sample a feature (1, C, h, w) through motion (h, w, 2) float32, offsets (x, y) in cells: see
    `model.alignment`."""
    return aligned_batch(feature, motion[None])


def upsampled_labels(logits: Tensor, size: tuple[int, int], with_confidence: bool) -> Tensor:
    """Convert logits (1, classes, h, w) to (1 or 2, H, W) uint8, size = (H, W): the winning classes and, if
    requested, their softmax x 255. Bilinear, align_corners false."""
    values = F.interpolate(logits.float(), size=size, mode="bilinear", align_corners=False)[0]
    best, winner = values.max(0)
    if not with_confidence:
        return winner.to(torch.uint8)[None]
    confidence = 255.0 / (values - best).exp_().sum(0) + 0.5
    return torch.stack((winner.to(torch.uint8), confidence.to(torch.uint8)))
