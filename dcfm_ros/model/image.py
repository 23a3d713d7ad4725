# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The network's view of an image."""

from __future__ import annotations

import torch
from torch import Tensor

IMAGE_MEAN = (0.485, 0.456, 0.406)  # of RGB / 255
IMAGE_STD = (0.229, 0.224, 0.225)


def normalised(image: Tensor) -> Tensor:
    """(B, H, W, 3) uint8 RGB to (B, 3, H, W) float32 in channels-last layout."""
    mean = 255.0 * torch.tensor(IMAGE_MEAN, device=image.device)
    scale = 1.0 / (255.0 * torch.tensor(IMAGE_STD, device=image.device))
    return ((image.float() - mean) * scale).permute(0, 3, 1, 2)
