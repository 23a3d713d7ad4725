# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Warps features along with the motion of the scene."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def aligned(feature: Tensor, motion: Tensor) -> Tensor:
    """Sample a feature (B, C, h, w) bilinearly at positions shifted by motion (B, h, w, 2), offsets (x, y) in
    its cells.

    Positions outside are clamped to the border. Computed in float32: positions on a large grid exceed half
    precision.
    """
    height, width = feature.shape[2:]
    rows = torch.arange(height, dtype=torch.float32, device=feature.device)
    columns = torch.arange(width, dtype=torch.float32, device=feature.device)
    x = (columns + motion[..., 0].float()) * (2.0 / max(width - 1, 1)) - 1.0
    y = (rows[:, None] + motion[..., 1].float()) * (2.0 / max(height - 1, 1)) - 1.0
    grid = torch.stack((x, y), dim=-1)
    return F.grid_sample(feature.float(), grid, "bilinear", "border", align_corners=True).to(feature.dtype)


def on_grid(motion: Tensor, size: tuple[int, ...]) -> Tensor:
    """Resample maps (B, H, W, 2) to a grid of size (h, w) that divides theirs; same as
    `motion.maps.on_grid`."""
    height, width = motion.shape[1:3]
    small = F.adaptive_avg_pool2d(motion.float().permute(0, 3, 1, 2), (size[0], size[1]))
    return small.permute(0, 2, 3, 1) * torch.tensor([size[1] / width, size[0] / height], device=motion.device)


class Alignment(nn.Module):
    """`aligned` as a module."""

    def forward(self, feature: Tensor, motion: Tensor) -> Tensor:
        return aligned(feature, motion)
