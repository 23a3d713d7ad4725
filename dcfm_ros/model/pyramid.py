# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pyramid pooling (PSPNet, Zhao et al. 2017): concatenates the last stage with its averages over 1, 4, 9 and
36 regions."""

from __future__ import annotations

from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BINS = (1, 2, 3, 6)


class PyramidPooling(nn.Module):
    """Maps stage outputs to the deep feature D (B, 2 * width, h, w); only the last stage is used."""

    def __init__(self, width: int):
        super().__init__()
        self.features = nn.ModuleList(
            nn.Sequential(
                nn.AdaptiveAvgPool2d(count),
                nn.Conv2d(width, width // 4, 1, bias=False),
                nn.BatchNorm2d(width // 4),
                nn.ReLU(),
            )
            for count in BINS
        )

    def forward(self, features: list[Tensor], published_order: bool = False) -> Tensor:
        """Compute D; published and rewritten order of operations are the same here."""
        last = features[-1]
        size = tuple(last.shape[2:])
        pooled = [
            F.interpolate(level(last), size=size, mode="bilinear", align_corners=True)
            for level in self.features
        ]
        return torch.cat([last, *pooled], dim=1)

    def folded_form(self) -> InferenceFusion:
        return InferenceFusion(self)


class LastStage(nn.Module):
    """No pyramid pooling: D is the last stage's output."""

    def forward(self, features: list[Tensor], published_order: bool = False) -> Tensor:
        return features[-1]

    def folded_form(self) -> InferenceFusion:
        return InferenceFusion(self)


class InferenceFusion(nn.Module):
    """A copy for inference, called with the stages' features as separate arguments like the folded fusion of
    MiT."""

    def __init__(self, fusion: PyramidPooling | LastStage):
        super().__init__()
        self.fusion = deepcopy(fusion)

    def forward(self, *features: Tensor) -> Tensor:
        return self.fusion(list(features))
