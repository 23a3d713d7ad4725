# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What logits are compared with: hard labels, or soft ones of a teacher; and the cross entropy of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dcfm_ros.labels import IGNORE_LABEL
from dcfm_ros.model.fusion import resize

KEPT = 2  # classes of each pixel of a crop: the second is what the first might be


@dataclass(frozen=True)
class SoftTargets:
    """A teacher's most probable classes.

    ids: (B, H, W, KEPT) int64, falling by share, 255 = none
    shares: (B, H, W, KEPT) float32, 0 where there is no class
    """

    ids: Tensor
    shares: Tensor

    @classmethod
    def of(cls, packed: Tensor) -> SoftTargets:
        """Unpack what `kept` has packed, (B, H, W, 2 * KEPT) uint8."""
        ids, shares = packed.chunk(2, dim=3)
        return cls(ids.long(), shares.float() / 255.0)


def kept(log_shares: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Return the most probable classes of log shares (n, H, W), which may lack a summand that is the
    same for all: (H, W, 2 * KEPT) uint8, their ids, falling, then their shares times 255.

    ids: of the n classes, 255 for none
    """
    order = np.argsort(-log_shares, axis=0, kind="stable")[:KEPT]
    shares = np.exp(log_shares - log_shares.max(axis=0))
    chosen = np.take_along_axis(shares / shares.sum(axis=0), order, axis=0)
    packed = np.full((*log_shares.shape[1:], 2 * KEPT), IGNORE_LABEL, np.uint8)
    packed[..., KEPT:] = 0
    packed[..., : len(order)] = ids[order].transpose(1, 2, 0)
    packed[..., KEPT : KEPT + len(order)] = np.rint(255 * chosen).transpose(1, 2, 0)
    packed[..., KEPT:][packed[..., :KEPT] == IGNORE_LABEL] = 0
    return packed


def of_hard(label: np.ndarray) -> np.ndarray:
    """Return the soft targets (H, W, 2 * KEPT) that hard labels (H, W) stand for."""
    packed = np.full((*label.shape, 2 * KEPT), IGNORE_LABEL, np.uint8)
    packed[..., KEPT:] = 0
    packed[..., 0] = label
    packed[..., KEPT] = np.where(label == IGNORE_LABEL, 0, 255)
    return packed


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

    Logits are compared at the targets' size. With soft ones a pixel counts as much as the teacher is sure of
    it: its weight is the share of its most probable class, times that class's weight.
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
