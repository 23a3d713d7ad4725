# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Hard and soft targets, and batches that mix them."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import tiny_model

from dcfm_ros.model.fusion import resize
from dcfm_ros.sources.clips.soft_labels import hard_labels, packed
from dcfm_ros.training.augment import AugmentConfig, augment
from dcfm_ros.training.data import stacked
from dcfm_ros.training.losses import symmetric_losses
from dcfm_ros.training.pairs import Pair
from dcfm_ros.training.targets import SoftTargets, cross_entropy, joined, kept, of_hard


def soft_of(shares: np.ndarray) -> SoftTargets:
    """Targets of probabilities (classes, H, W)."""
    logs = np.log(np.maximum(shares, 1e-9)).astype(np.float32)
    return SoftTargets.of(torch.from_numpy(kept(logs, np.arange(len(shares))))[None])


@pytest.fixture
def logits():
    return torch.randn(1, 4, 5, 6, generator=torch.Generator().manual_seed(1))


def test_certain_targets_are_hard_ones(logits):
    labels = torch.randint(0, 4, (1, 20, 24), generator=torch.Generator().manual_seed(2))
    labels[:, :4] = 255
    soft = SoftTargets.of(torch.from_numpy(of_hard(labels[0].numpy().astype(np.uint8)))[None])
    for weights in (None, torch.tensor([0.5, 1.0, 2.0, 4.0])):
        expected = cross_entropy(logits, labels, weights)
        torch.testing.assert_close(cross_entropy(logits, soft, weights), expected)


def test_soft_cross_entropy_is_the_formula_with_the_teachers_certainty_as_weight(logits):
    shares = torch.softmax(3 * torch.randn(4, 20, 24, generator=torch.Generator().manual_seed(3)), 0)
    logs = F.log_softmax(resize(logits, (20, 24))[0], 0)
    best, ids = shares.topk(2, dim=0)  # what two classes have not is left out
    each = -(best / best.sum(0) * logs.gather(0, ids)).sum(0)
    expected = (best[0] * each).sum() / best[0].sum()
    found = cross_entropy(logits, soft_of(shares.numpy()), None)
    torch.testing.assert_close(found, expected, rtol=5e-3, atol=5e-3)


def test_pixels_without_a_label_do_not_count(logits):
    void = SoftTargets.of(torch.from_numpy(of_hard(np.full((5, 6), 255, np.uint8)))[None])
    assert cross_entropy(logits, void, None) == 0
    logs = np.full((3, 5, 6), -9.0, np.float32)
    logs[2] = 0.0  # no label...
    logs[:, 2, 3] = np.log([0.9, 0.1, 1e-9])  # but for a single pixel
    one = SoftTargets.of(torch.from_numpy(kept(logs, np.array([0, 1, 255])))[None])
    own = F.log_softmax(logits[0, :, 2, 3], 0)
    torch.testing.assert_close(
        cross_entropy(logits, one, None), -(0.9 * own[0] + 0.1 * own[1]), rtol=1e-2, atol=1e-2
    )


def pair(soft: bool, seed: int = 0) -> Pair:
    """As augmentation leaves it."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 4, (16, 24), np.uint8).repeat(4, 0).repeat(4, 1)
    image = rng.integers(0, 256, (64, 96, 3), np.uint8)
    softs = np.stack([of_hard(label), of_hard(label)]) if soft else None
    return Pair(image, label, image, label if soft else None, soft=softs)


def test_a_batch_with_soft_labels_is_soft_as_a_whole():
    batch = stacked([pair(soft=True), pair(soft=False)])
    assert batch.soft.shape == (2, 2, 64, 96, 4)
    assert (batch.soft[1, 1, ..., :2] == 255).all()  # its neighbour has no label
    assert torch.equal(batch.soft[1, 0, ..., 0], batch.labels[1])
    assert stacked([pair(soft=False)]).soft is None


def test_the_symmetric_loss_takes_soft_targets_of_both_frames():
    model, batch = tiny_model(), stacked([pair(True), pair(True, seed=1)])
    labelled, neighbour = (
        images.permute(0, 3, 1, 2).float() / 128 - 1 for images in (batch.labelled, batch.neighbour)
    )
    first, second = (SoftTargets.of(soft) for soft in batch.soft.unbind(1))
    with torch.no_grad():
        found = symmetric_losses(model, labelled, neighbour, first, second)
        hard = symmetric_losses(
            model, labelled, neighbour, batch.labels.long(), batch.neighbour_labels.long()
        )
        own = model.keyframe(torch.cat([labelled, neighbour]))
    torch.testing.assert_close(found.ce_key, cross_entropy(own, joined(first, second), None))
    torch.testing.assert_close(tuple(found), tuple(hard))  # certain as these are


def test_crops_of_soft_labels_lie_over_those_of_hard_ones():
    rng = np.random.default_rng(4)
    blocks = rng.integers(0, 4, (3, 4), np.uint8).repeat(10, 0).repeat(10, 1)  # (30, 40) cells
    soft = packed((blocks == np.arange(5)[:, None, None]).astype(np.float32))
    label, image = hard_labels(soft, 5), np.zeros((120, 160, 3), np.uint8)
    whole = Pair(image, label, image, label, soft=np.stack([soft, soft]))
    for _ in range(20):
        crop = augment(whole, 64, 96, AugmentConfig(), rng)
        assert crop.soft.shape == (2, 64, 96, 4) and np.array_equal(crop.soft[0], crop.soft[1])
        assert (crop.soft[0, ..., 0] == crop.label).mean() > 0.98  # edges apart
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(crop.label, 3, mode="edge"), (7, 7))
        inner = (windows == crop.label[..., None, None]).all((2, 3))
        assert inner.mean() > 0.5
        assert np.array_equal(crop.soft[0, ..., 0][inner], crop.label[inner])
        assert (crop.soft[0, ..., 2][inner & (crop.label != 255)] > 127).all()  # more than a half
