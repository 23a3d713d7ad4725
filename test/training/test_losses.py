# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The symmetric strategy and the consistency loss, against the formulas written out."""

import pytest
import torch
import torch.nn.functional as F
from helpers import tiny_model
from torch import nn

from dcfm_ros.model.dcfm import Features, unit
from dcfm_ros.model.fusion import resize
from dcfm_ros.training.data import Batch
from dcfm_ros.training.losses import Losses, consistency_loss, per_frame_losses, symmetric_losses
from dcfm_ros.training.step import batch_losses


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture
def batch():
    """Two pairs: labelled and neighbouring images, labels of both."""
    generator = torch.Generator().manual_seed(8)
    images = torch.randn(2, 2, 3, 64, 64, generator=generator)
    labels = torch.randint(0, 4, (2, 2, 64, 64), generator=generator)
    labels[:, :, :5] = 255
    return images[0], images[1], labels[0], labels[1]


def by_the_formula(model, labelled, neighbour, labels):
    """The three terms as the paper has them."""
    own, other = model.features(labelled), model.features(neighbour)
    fused, fused_other = (model.fuse(f.common, f.shallow, is_keyframe=True) for f in (own, other))
    key, nonkey = model.head(fused), model.head(model.fuse(other.common, own.shallow, is_keyframe=False))
    mask = (key.argmax(1) == model.head(fused_other).argmax(1))[:, None]
    return (
        F.cross_entropy(resize(key, labels.shape[1:]), labels, ignore_index=255),
        F.cross_entropy(resize(nonkey, labels.shape[1:]), labels, ignore_index=255),
        F.mse_loss(mask * fused, mask * fused_other),
    )


def test_one_labelled_frame(model, batch):
    labelled, neighbour, labels, _ = batch
    with torch.no_grad():
        found = symmetric_losses(model, labelled, neighbour, labels)
        expected = by_the_formula(model, labelled, neighbour, labels)
    torch.testing.assert_close(tuple(found), expected, rtol=1e-5, atol=1e-8)
    assert found.ce_key != found.ce_nonkey and found.consistency > 0
    torch.testing.assert_close(found.total, expected[0] + 0.4 * expected[1] + 10 * expected[2])


def test_two_labelled_frames_are_used_in_both_directions(model, batch):
    labelled, neighbour, labels, neighbour_labels = batch
    with torch.no_grad():
        found = symmetric_losses(model, labelled, neighbour, labels, neighbour_labels)
        forth = by_the_formula(model, labelled, neighbour, labels)
        back = by_the_formula(model, neighbour, labelled, neighbour_labels)
    expected = tuple((a + b) / 2 for a, b in zip(forth, back))  # as many labelled pixels in either frame
    torch.testing.assert_close(tuple(found), expected, rtol=1e-5, atol=1e-8)


def test_a_neighbour_labelled_void_is_an_unlabelled_neighbour(model, batch):
    labelled, neighbour, labels, _ = batch
    with torch.no_grad():
        void = symmetric_losses(model, labelled, neighbour, labels, torch.full_like(labels, 255))
        without = symmetric_losses(model, labelled, neighbour, labels)
    torch.testing.assert_close(tuple(void), tuple(without))


@pytest.mark.parametrize("class_weights", (None, torch.tensor([1.0, 2.0, 0.5, 1.0])))
def test_nothing_labelled_gives_no_nan(model, batch, class_weights):
    labelled, neighbour, labels, _ = batch
    void = torch.full_like(labels, 255)
    model.zero_grad(set_to_none=True)
    found = symmetric_losses(model, labelled, neighbour, void, void, class_weights)
    found.total.backward()
    assert found.ce_key == 0 and found.ce_nonkey == 0 and found.consistency > 0
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
    assert model.encoder.patch_embed1.proj.weight.grad.abs().max() > 0  # consistency needs no labels
    model.zero_grad(set_to_none=True)


def test_class_weights_weigh_classes(model, batch):
    labelled, neighbour, labels, _ = batch
    only = torch.where(labels == 2, labels, 255)
    with torch.no_grad():
        weighted = symmetric_losses(
            model, labelled, neighbour, labels, None, torch.tensor([0.0, 0.0, 1.0, 0.0])
        )
        alone = symmetric_losses(model, labelled, neighbour, only)
    torch.testing.assert_close(weighted.ce_key, alone.ce_key)


def test_without_consistency(model, batch):
    labelled, neighbour, labels, _ = batch
    with torch.no_grad():
        found = symmetric_losses(model, labelled, neighbour, labels, consistency=False)
    assert found.consistency == 0
    torch.testing.assert_close(found.total, found.ce_key + 0.4 * found.ce_nonkey)


def test_weights_of_the_terms():
    assert Losses(torch.tensor(1.0), torch.tensor(10.0), torch.tensor(100.0)).total == 1 + 4 + 1000


def test_consistency_counts_only_where_both_predict_the_same():
    """The mean runs over all elements; those outside the mask count as zero."""
    logits, other = torch.zeros(1, 2, 1, 4), torch.zeros(1, 2, 1, 4)
    logits[0, 1] = torch.tensor([1.0, 1.0, -1.0, -1.0])  # classes 1 1 0 0
    other[0, 1] = torch.tensor([1.0, -1.0, 1.0, -1.0])  # classes 1 0 1 0: the same at both ends
    fused, fused_other = torch.zeros(1, 3, 1, 4), torch.zeros(1, 3, 1, 4)
    fused[0, :, 0] = torch.tensor([1.0, 50.0, 50.0, 2.0])
    assert consistency_loss(fused, fused_other, logits, other) == (3 * 1.0 + 3 * 4.0) / 12
    assert consistency_loss(fused, fused_other, logits, -logits) == 0
    assert consistency_loss(fused, fused, logits, logits) == 0


def test_consistency_moves_both_frames():
    torch.manual_seed(0)
    fused, other = (torch.randn(1, 3, 2, 2, requires_grad=True) for _ in range(2))
    logits = torch.ones(1, 2, 2, 2)
    consistency_loss(fused, other, logits, logits).backward()
    assert fused.grad.abs().min() > 0
    torch.testing.assert_close(fused.grad, -other.grad)


def test_per_frame_networks_have_the_first_term_alone(batch):
    model = tiny_model(architecture="per_frame")
    labelled, neighbour, labels, neighbour_labels = batch
    with torch.no_grad():
        one = per_frame_losses(model, labelled, neighbour, labels)
        both = per_frame_losses(model, labelled, neighbour, labels, neighbour_labels)
        own, other = (
            F.cross_entropy(resize(model.keyframe(image), (64, 64)), target, ignore_index=255)
            for image, target in ((labelled, labels), (neighbour, neighbour_labels))
        )
    torch.testing.assert_close(tuple(one), (own, torch.zeros(()), torch.zeros(())))
    torch.testing.assert_close(both.total, (own + other) / 2)


class Pointwise(nn.Module):
    """Of a moved image the features are moved: averages of 4x4 pixels, S of less than C."""

    def features(self, images, aligned=True):
        small = F.avg_pool2d(images, 4)
        return Features(small, small[:, :1])

    def fuse(self, common, shallow, is_keyframe):
        return torch.cat([common, shallow], dim=1)

    def head(self, fused):
        return torch.stack(
            [fused[:, 0], fused[:, 1] + fused[:, 2], fused[:, 3] - fused[:, 1], -fused[:, 0]], dim=1
        )


@pytest.fixture
def shifted():
    """Two pairs whose neighbours see all 8 pixels to the right, what `Pointwise` sees as labels, void near
    borders, and that motion."""
    scene = 8 * torch.randn(2, 3, 64, 88, generator=torch.Generator().manual_seed(5))
    images, labels = torch.stack([scene[..., 8:], scene[..., :80]]), torch.full((2, 2, 64, 80), 255)
    for image, label in zip(images, labels):
        logits = Pointwise().head(Pointwise().fuse(*Pointwise().features(image), is_keyframe=True))
        label[:, 16:-16, 16:-16] = resize(logits, (64, 80)).argmax(1)[:, 16:-16, 16:-16]
    motion = torch.zeros(2, 2, 16, 20, 2)
    motion[:, 0, ..., 0], motion[:, 1, ..., 0] = 2, -2
    return *images, *labels, motion


@pytest.mark.parametrize("both", (True, False))
def test_an_aligned_feature_is_the_frames_own(shifted, both):
    """So a non-key frame loses what a keyframe does; not so with the two directions exchanged, nor
    without."""
    labelled, neighbour, labels, neighbour_labels, motion = shifted

    def losses(motion):
        return symmetric_losses(
            Pointwise(), labelled, neighbour, labels, neighbour_labels if both else None, motion=motion
        )

    right = losses(motion)
    torch.testing.assert_close(right.ce_nonkey, right.ce_key)
    for wrong in (losses(motion.flip(1)), losses(None), losses(motion * 0.5)):
        assert wrong.ce_nonkey > 1.5 * wrong.ce_key
        torch.testing.assert_close(wrong.ce_key, right.ce_key)  # of which nothing moves
        assert right.consistency < 0.5 * wrong.consistency  # what is left is of the border


def test_each_pair_moves_by_its_own_motion(shifted):
    labelled, neighbour, labels, neighbour_labels, motion = shifted
    motion[1] = 0
    alone = [
        symmetric_losses(
            Pointwise(), *(tensor[one : one + 1] for tensor in shifted[:4]), motion=motion[one : one + 1]
        )
        for one in range(2)
    ]
    together = symmetric_losses(Pointwise(), labelled, neighbour, labels, neighbour_labels, motion=motion)
    torch.testing.assert_close(tuple(together), tuple((a + b) / 2 for a, b in zip(*alone)))


@pytest.mark.slow
@pytest.mark.parametrize("both", (True, False))
@pytest.mark.parametrize("backbone", ("mit_b0", "resnet18"))
def test_no_motion_is_a_motion_of_zero(batch, backbone, both):
    labelled, neighbour, labels, neighbour_labels = batch
    arguments = (
        tiny_model(backbone=backbone),
        labelled,
        neighbour,
        labels,
        neighbour_labels if both else None,
    )
    with torch.no_grad():
        still, without = (
            symmetric_losses(*arguments, motion=motion) for motion in (torch.zeros(2, 2, 16, 16, 2), None)
        )
        moved = symmetric_losses(*arguments, motion=torch.full((2, 2, 16, 16, 2), 3.0))
    torch.testing.assert_close(tuple(still), tuple(without), rtol=1e-4, atol=1e-7)
    assert moved.ce_key == without.ce_key
    assert moved.ce_nonkey != without.ce_nonkey and moved.consistency != without.consistency


def test_gradients_flow_into_the_moved_features(shifted):
    """Into the neighbour, which has no label here: to the places that are looked up, and to no others."""
    labelled, neighbour, labels, _, motion = shifted
    neighbour = neighbour.clone().requires_grad_()
    symmetric_losses(
        Pointwise(), labelled, neighbour, labels, consistency=False, motion=motion
    ).ce_nonkey.backward()
    reached = neighbour.grad.abs().amax((0, 1, 2)) > 0
    # labelled from 16, seen 8 further
    assert reached[24:64].all() and not reached[:16].any() and not reached[76:].any()
    assert not motion.requires_grad


@pytest.mark.parametrize("amp", (False, True))
def test_the_motion_of_a_batch_comes_to_the_losses(train_config, model, amp):
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (2, 2, 64, 64, 3), generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, 4, (2, 2, 64, 64), generator=generator, dtype=torch.uint8)
    per_frame = tiny_model(architecture="per_frame")

    def losses(model, motion):
        batch = Batch(images[0], images[1], labels[0], labels[1], ("", ""), motion)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=amp):
            return torch.stack(batch_losses(model, batch, train_config(), None, torch.device("cpu")))

    none, zero, some = (
        losses(model, motion) for motion in (None, torch.zeros(2, 2, 16, 16, 2), torch.ones(2, 2, 16, 16, 2))
    )
    torch.testing.assert_close(none, zero, rtol=1e-2 if amp else 1e-4, atol=1e-6)
    assert (none != some).tolist() == [False, True, True]
    # which has no common features
    assert torch.equal(losses(per_frame, None), losses(per_frame, torch.ones(2, 2, 16, 16, 2)))


@pytest.mark.parametrize("dtype", (torch.float16, torch.bfloat16, torch.float32))
def test_features_of_length_zero_stay_finite(dtype):
    """ReLU leaves such pixels; float16 has no 1e-12."""
    feature = torch.zeros(1, 4, 2, 2, dtype=dtype, requires_grad=True)
    direction = unit(feature)
    direction.sum().backward()
    assert (direction == 0).all() and feature.grad.isfinite().all()
