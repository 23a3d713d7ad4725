# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The symmetric training strategy and the consistency loss of DCFM (paper, sections 3.3 and 3.4)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from dcfm_ros.model.alignment import aligned, on_grid
from dcfm_ros.model.dcfm import DCFM, Features
from dcfm_ros.model.per_frame import PerFrame
from dcfm_ros.training.targets import Targets, count_of, cross_entropy, joined

NONKEY_WEIGHT = 0.4
CONSISTENCY_WEIGHT = 10.0


class Losses(NamedTuple):
    """Scalar loss terms, unweighted."""

    ce_key: Tensor
    ce_nonkey: Tensor
    consistency: Tensor

    @property
    def total(self) -> Tensor:
        """Return the weighted sum of the terms."""
        return self.ce_key + NONKEY_WEIGHT * self.ce_nonkey + CONSISTENCY_WEIGHT * self.consistency


def symmetric_losses(
    model: DCFM,
    labelled: Tensor,
    neighbour: Tensor,
    labels: Targets,
    neighbour_labels: Targets | None = None,
    class_weights: Tensor | None = None,
    consistency: bool = True,
    motion: Tensor | None = None,
) -> Losses:
    """Compute the losses of a batch of pairs.

    labelled, neighbour: normalised images (B, 3, H, W)
    labels: hard, (B, H, W) int64, 255 ignored; or soft
    neighbour_labels: if given (rendered scenes, warped stills), pairs are used in both directions, and each
        cross entropy is the mean of both
    consistency: False omits the third term ("without consistency loss")
    motion: see Batch, (B, 2, H/4, W/4, 2); warps the other frame's common features, and the features that the
        consistency loss compares
    """
    count = labelled.shape[0]
    both = model.features(torch.cat([labelled, neighbour]), aligned=True)
    key_fused = model.fuse(both.common, both.shallow, is_keyframe=True)
    key_logits = model.head(key_fused)

    targets = joined(labels, neighbour_labels)
    supervised = count_of(targets)
    others = both.common.roll(count, 0)[:supervised]
    if motion is not None:  # first from the labelled frames to their neighbours, then back
        motion = on_grid(motion.transpose(0, 1).flatten(0, 1), tuple(both.common.shape[2:]))
        others = aligned(others, motion[:supervised])
    swapped = Features(others, both.shallow[:supervised])
    nonkey_logits = model.head(model.fuse(swapped.common, swapped.shallow, is_keyframe=False))

    agreement = torch.zeros((), device=labelled.device)
    if consistency:
        fused_other, logits_other = key_fused[count:], key_logits[count:]
        if motion is not None:
            fused_other, logits_other = (
                aligned(tensor, motion[:count]) for tensor in (fused_other, logits_other)
            )
        agreement = consistency_loss(key_fused[:count], fused_other, key_logits[:count], logits_other)
    return Losses(
        cross_entropy(key_logits[:supervised], targets, class_weights),
        cross_entropy(nonkey_logits, targets, class_weights),
        agreement,
    )


def per_frame_losses(
    model: PerFrame,
    labelled: Tensor,
    neighbour: Tensor,
    labels: Targets,
    neighbour_labels: Targets | None = None,
    class_weights: Tensor | None = None,
) -> Losses:
    """Compute the cross entropy of a per-frame network on the same pairs, so that the baseline has the same
    training budget. Neighbours without labels are ignored."""
    images = labelled if neighbour_labels is None else torch.cat([labelled, neighbour])
    targets = joined(labels, neighbour_labels)
    nothing = torch.zeros((), device=labelled.device)
    return Losses(cross_entropy(model.keyframe(images), targets, class_weights), nothing, nothing)


def consistency_loss(fused: Tensor, fused_other: Tensor, logits: Tensor, logits_other: Tensor) -> Tensor:
    """Return the mean squared difference of the fused features where both frames predict the same class, at
    stride 4.

    The mean is over all elements, with those outside the mask counting as zero; gradients flow into both
    frames.
    """
    same_class = (logits.argmax(1) == logits_other.argmax(1)).float()
    squared = (fused - fused_other).square().sum(1, dtype=torch.float32)
    return (same_class * squared).mean() / fused.shape[1]
