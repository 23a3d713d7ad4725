# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The network's view of an image."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

IMAGE_MEAN = (0.485, 0.456, 0.406)  # of RGB / 255
IMAGE_STD = (0.229, 0.224, 0.225)


def normalised(image: Tensor) -> Tensor:
    """(B, H, W, 3) uint8 RGB to (B, 3, H, W) float32 in channels-last layout."""
    mean, scale = _constants(image.device) if image.is_cuda else _new_constants(image.device)
    return ((image.float() - mean) * scale).permute(0, 3, 1, 2)


@lru_cache(maxsize=None)
def _constants(device: torch.device) -> tuple[Tensor, Tensor]:
    """Copied to a GPU once: each copy would wait for it, and cannot be part of a CUDA graph."""
    with torch.inference_mode(False):   # autograd takes them, too, whoever comes first
        return _new_constants(device)


def _new_constants(device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and factor, (3,) each."""
    return 255.0 * torch.tensor(IMAGE_MEAN, device=device), 1.0 / (255.0 * torch.tensor(IMAGE_STD, device=device))
