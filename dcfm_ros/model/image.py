# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The network's view of an image."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

Colour = tuple[float, float, float]


class Normalisation(NamedTuple):
    """Mean and standard deviation of RGB / 255 by which a network's images are normalised."""

    mean: Colour
    std: Colour

    def factors(self, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
        """What is taken from RGB 0..255, and what the rest is multiplied by, (3,) each."""
        return 255.0 * torch.tensor(self.mean, device=device), 1.0 / (
            255.0 * torch.tensor(self.std, device=device)
        )


IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
EFFICIENTNET_LITE = Normalisation((127 / 255,) * 3, (128 / 255,) * 3)  # as published: (value - 127) / 128


def normalised(image: Tensor, normalisation: Normalisation) -> Tensor:
    """(B, H, W, 3) uint8 RGB to (B, 3, H, W) float32 in channels-last layout."""
    mean, scale = (
        _constants(normalisation, image.device) if image.is_cuda else normalisation.factors(image.device)
    )
    return ((image.float() - mean) * scale).permute(0, 3, 1, 2)


@cache
def _constants(normalisation: Normalisation, device: torch.device) -> tuple[Tensor, Tensor]:
    """Copied to a GPU once: each copy would wait for it, and cannot be part of a CUDA graph."""
    with torch.inference_mode(False):  # autograd takes them, too, whoever comes first
        return normalisation.factors(device)
