# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Stochastic depth (Huang et al. 2016): in training, whole residual branches are dropped at random."""

from __future__ import annotations

import torch
from torch import Tensor


def drop_path(branch: Tensor, rate: float, training: bool) -> Tensor:
    """The branch (B, ...), zero for a share `rate` of the batch's samples and larger for the others: the mean
    stays as it is."""
    if not training or rate == 0.0:
        return branch
    keep = 1.0 - rate
    kept = torch.rand(branch.shape[0], *[1] * (branch.ndim - 1), device=branch.device) < keep
    return branch * kept.to(branch.dtype) / keep
