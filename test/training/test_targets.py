# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Hard and soft targets, and batches that mix them."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import tiny_model

from dcfm_ros.sources.clips.soft_labels import packed, soft_of_hard
from dcfm_ros.training.augment import AugmentConfig, augment
from dcfm_ros.training.data import stacked
from dcfm_ros.training.losses import symmetric_losses
from dcfm_ros.training.pairs import Pair
from dcfm_ros.training.targets import SoftTargets, cross_entropy, joined


def soft_of(shares: np.ndarray) -> SoftTargets:
    """Targets of probabilities (classes, h, w)."""
    return SoftTargets.of(torch.from_numpy(packed(shares.astype(np.float32)))[None])


@pytest.fixture
def logits():
    return torch.randn(1, 4, 5, 6, generator=torch.Generator().manual_seed(1))


def test_certain_targets_are_hard_ones(logits):
    labels = torch.randint(0, 4, (1, 20, 24), generator=torch.Generator().manual_seed(2))
    labels = labels[:, ::4, ::4].repeat_interleave(4, 1).repeat_interleave(4, 2)
    labels[:, :4] = 255
    soft = SoftTargets.of(torch.from_numpy(soft_of_hard(labels[0].numpy().astype(np.uint8)))[None])
    for weights in (None, torch.tensor([0.5, 1.0, 2.0, 4.0])):
        expected = F.cross_entropy(logits, labels[:, ::4, ::4], weight=weights, ignore_index=255)
        torch.testing.assert_close(cross_entropy(logits, soft, weights), expected)


def test_soft_cross_entropy_is_the_formula_with_the_teachers_certainty_as_weight(logits):
    shares = torch.softmax(3 * torch.randn(4, 5, 6, generator=torch.Generator().manual_seed(3)), 0)
    each = -(shares * F.log_softmax(logits[0], 0)).sum(0)
    sure = shares.amax(0)
    expected = (sure * each).sum() / sure.sum()
    found = cross_entropy(logits, soft_of(shares.numpy()), None)
    torch.testing.assert_close(found, expected, rtol=5e-3, atol=5e-3)


def test_pixels_without_a_label_do_not_count(logits):
    shares = np.full((4, 5, 6), 0.02, np.float32)  # nearly all went to classes that are ignored
    assert cross_entropy(logits, soft_of(shares), None) == 0
    shares[:, 2, 3] = [0.9, 0.1, 0, 0]
    expected = -(
        0.9 * F.log_softmax(logits[0, :, 2, 3], 0)[0] + 0.1 * F.log_softmax(logits[0, :, 2, 3], 0)[1]
    )
    found = cross_entropy(logits, soft_of(shares), None)
    torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-2)


def test_logits_at_another_size_are_resized_to_the_targets(logits):
    shares = np.zeros((4, 10, 12), np.float32)
    shares[1] = 1.0
    full = F.interpolate(logits, size=(10, 12), mode="bilinear", align_corners=False)
    expected = -F.log_softmax(full, 1)[:, 1].mean()
    torch.testing.assert_close(cross_entropy(logits, soft_of(shares), None), expected)


def pair(soft: bool, seed: int = 0) -> Pair:
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 4, (16, 24), np.uint8).repeat(4, 0).repeat(4, 1)
    image = rng.integers(0, 256, (64, 96, 3), np.uint8)
    softs = np.stack([soft_of_hard(label), soft_of_hard(label)]) if soft else None
    return Pair(image, label, image, label if soft else None, soft=softs)


def test_a_batch_with_soft_labels_is_soft_as_a_whole():
    batch = stacked([pair(soft=True), pair(soft=False)])
    assert batch.soft.shape == (2, 2, 16, 24, 8)
    assert (batch.soft[1, 1, ..., :4] == 255).all()  # its neighbour has no label
    assert torch.equal(batch.soft[1, 0, ..., 0], batch.labels[1, 2::4, 2::4])
    assert stacked([pair(soft=False)]).soft is None


def test_the_symmetric_loss_takes_soft_targets_of_both_frames():
    model, batch = tiny_model(), stacked([pair(True), pair(True, seed=1)])
    labelled, neighbour = (
        images.permute(0, 3, 1, 2).float() / 128 - 1 for images in (batch.labelled, batch.neighbour)
    )
    first, second = (SoftTargets.of(soft) for soft in batch.soft.unbind(1))
    with torch.no_grad():
        found = symmetric_losses(model, labelled, neighbour, first, second)
        own = model.keyframe(torch.cat([labelled, neighbour]))
    torch.testing.assert_close(found.ce_key, cross_entropy(own, joined(first, second), None))
    assert found.ce_nonkey > 0


def test_crops_of_soft_labels_lie_over_those_of_hard_ones():
    rng = np.random.default_rng(4)
    label = blocks(rng)
    whole = Pair(
        np.zeros((120, 160, 3), np.uint8),
        label,
        np.zeros((120, 160, 3), np.uint8),
        label,
        soft=np.stack([soft_of_hard(label)] * 2),
    )
    for _ in range(20):
        crop = augment(whole, 64, 96, AugmentConfig(), rng)
        assert crop.soft.shape == (2, 16, 24, 8)
        # cells whose 4x4 pixels, and those around them, have one class
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(crop.label, 4, mode="edge"), (12, 12))[
            ::4, ::4
        ]
        sure = (windows == windows[..., :1, :1]).all((2, 3))
        assert sure.mean() > 0.3
        assert np.array_equal(crop.soft[0, ..., 0][sure], crop.label[2::4, 2::4][sure])


def blocks(rng) -> np.ndarray:
    """(120, 160) of blocks of 40 pixels, so that most of a crop is far from an edge."""
    return rng.integers(0, 4, (3, 4), np.uint8).repeat(40, 0).repeat(40, 1)
