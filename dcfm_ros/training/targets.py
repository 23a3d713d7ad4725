# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What logits are compared with: hard labels, or soft ones of a teacher; and the cross entropy of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from dcfm_ros.labels import IGNORE_LABEL
from dcfm_ros.model.fusion import resize


@dataclass(frozen=True)
class SoftTargets:
    """A teacher's most probable classes at a quarter of the images' size.

    ids: (B, h, w, k) int64, falling by share, 255 = none
    shares: (B, h, w, k) float32, 0 where there is no class
    """

    ids: Tensor
    shares: Tensor

    @classmethod
    def of(cls, packed: Tensor) -> SoftTargets:
        """Unpack (B, h, w, 2 k) uint8, as `dcfm_ros.sources.clips.soft_labels` has them."""
        ids, shares = packed.chunk(2, dim=3)
        return cls(ids.long(), shares.float() / 255.0)


Targets: TypeAlias = Tensor | SoftTargets  # hard: (B, H, W) int64, 255 ignored


def joined(first: Targets, second: Targets | None) -> Targets:
    """Return the targets of two batches as one; of the first alone if there is no second."""
    if second is None:
        return first
    if isinstance(first, SoftTargets) and isinstance(second, SoftTargets):
        return SoftTargets(torch.cat([first.ids, second.ids]), torch.cat([first.shares, second.shares]))
    assert isinstance(first, Tensor) and isinstance(second, Tensor)  # a batch is hard or soft as a whole
    return torch.cat([first, second])


def count_of(targets: Targets) -> int:
    """Return the number of images."""
    return len(targets.ids) if isinstance(targets, SoftTargets) else targets.shape[0]


def cross_entropy(logits: Tensor, targets: Targets, class_weights: Tensor | None) -> Tensor:
    """Return the mean cross entropy of logits (B, C, h, w); 0 if no pixel has a label.

    Hard labels are compared at their own size. Soft ones are compared at theirs, and a pixel counts as much
    as the teacher is sure of it: its weight is the share of its most probable class (times that class's
    weight).
    """
    if isinstance(targets, SoftTargets):
        return _soft_cross_entropy(logits, targets, class_weights)
    full = resize(logits, tuple(targets.shape[1:])).float()
    if not (targets != IGNORE_LABEL).any():  # the mean of nothing would be NaN
        return full.sum() * 0.0
    return F.cross_entropy(full, targets, weight=class_weights, ignore_index=IGNORE_LABEL)


def _soft_cross_entropy(logits: Tensor, targets: SoftTargets, class_weights: Tensor | None) -> Tensor:
    ids = targets.ids.masked_fill(targets.ids == IGNORE_LABEL, 0).permute(0, 3, 1, 2)
    shares = targets.shares.permute(0, 3, 1, 2)
    size = (ids.shape[2], ids.shape[3])
    log_shares = F.log_softmax(resize(logits, size).float(), dim=1).gather(1, ids)
    whole = shares.sum(1).clamp_min(1e-6)  # less than 1 where classes beyond the kept ones had a share
    weight = shares[:, 0] if class_weights is None else shares[:, 0] * class_weights[ids[:, 0]]
    entropy = -(shares * log_shares).sum(1) / whole
    return (weight * entropy).sum() / weight.sum().clamp_min(1e-6)
