# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Stochastic depth (Huang et al. 2016): whole residual branches are dropped at random during training."""

from __future__ import annotations

import torch
from torch import Tensor


def drop_path(branch: Tensor, rate: float, training: bool) -> Tensor:
    """Zero the branch (B, ...) for a fraction `rate` of the samples, and scale the others so that the mean is
    unchanged."""
    if not training or rate == 0.0:
        return branch
    keep = 1.0 - rate
    kept = torch.rand(branch.shape[0], *[1] * (branch.ndim - 1), device=branch.device) < keep
    return branch * kept.to(branch.dtype) / keep
