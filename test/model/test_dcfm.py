# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The model as a whole: unit length, fusion, keyframes and the frames between them."""

import pytest
import torch
import torch.nn.functional as F
from helpers import tiny_model

from dcfm_ros.model.dcfm import FeatureFusion, UnitLength, unit
from dcfm_ros.model.fusion import resize


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture(scope="module")
def images():
    return torch.randn(3, 1, 3, 64, 96, generator=torch.Generator().manual_seed(5))


def test_unit_length_has_the_right_gradient():
    torch.manual_seed(0)
    feature = torch.randn(2, 5, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(UnitLength.apply, feature)


@pytest.mark.parametrize("scale", (1.0, 1e-14, 0.0))
def test_unit_length_is_that_of_pytorch(scale):
    torch.manual_seed(0)
    base, direction = (
        scale * torch.randn(2, 5, 3, 4, dtype=torch.float64),
        torch.randn(2, 5, 3, 4, dtype=torch.float64),
    )
    found = []
    for normalise in (unit, lambda feature: F.normalize(feature, dim=1, eps=1e-12)):
        feature = base.clone().requires_grad_()
        value = normalise(feature)
        found.append((value.detach(), torch.autograd.grad((value * direction).sum(), feature)[0]))
    if scale == 1.0:
        assert found[0][0].norm(dim=1).allclose(torch.ones(2, 3, 4, dtype=torch.float64))
        torch.testing.assert_close(found[0][1], found[1][1])
    assert found[0][1].isfinite().all()
    torch.testing.assert_close(found[0][0], found[1][0])


def test_unit_is_the_same_with_and_without_gradients():
    feature = torch.randn(2, 5, 3, 4, requires_grad=True)
    torch.testing.assert_close(unit(feature).detach(), unit(feature.detach()))


@pytest.mark.parametrize("training", (False, True))
def test_the_fusion_may_be_split_into_two_products(training):
    """W [C ; S] + b = (W_c C + b) + W_s S."""
    torch.manual_seed(0)
    ffm = FeatureFusion(common=12, used=3, out_channels=8).double().train(training)
    common, shallow = (
        torch.randn(2, 12, 4, 5, dtype=torch.float64),
        torch.randn(2, 6, 4, 5, dtype=torch.float64),
    )
    torch.testing.assert_close(
        ffm(common, shallow), ffm(common, shallow, published_order=True), rtol=1e-12, atol=1e-12
    )


def test_the_fusion_reads_only_the_first_shallow_channels():
    torch.manual_seed(0)
    ffm = FeatureFusion(common=12, used=3, out_channels=8).eval()
    common, shallow = torch.randn(1, 12, 4, 5), torch.randn(1, 6, 4, 5)
    changed = shallow.clone()
    changed[:, 3:] += 1
    assert torch.equal(ffm(common, changed), ffm(common, shallow))
    changed[:, 2] += 1
    assert not torch.equal(ffm(common, changed), ffm(common, shallow))


def test_features_have_unit_length(model, images):
    with torch.inference_mode():
        features = model.features(images[0])
        fused = model.fuse(*features, is_keyframe=True)
    assert features.common.shape == (1, 256, 16, 24) and features.shallow.shape == (1, 32, 16, 24)
    for feature in (*features, fused):
        torch.testing.assert_close(feature.norm(dim=1), torch.ones(1, 16, 24))


def test_a_keyframe_is_a_nonkey_frame_with_itself_as_keyframe(model, images):
    with torch.inference_mode():
        own = model.features(images[0]).common
        torch.testing.assert_close(model.nonkey(images[0], own), model.keyframe(images[0]))


def test_two_sided_is_the_sum_of_both_sides(model, images):
    with torch.inference_mode():
        previous, following = model.features(images[0]).common, model.features(images[1]).common
        before, after = model.nonkey(images[2], previous), model.nonkey(images[2], None, following)
        both = model.nonkey(images[2], previous, following)
        torch.testing.assert_close(both, before + after)
        assert not torch.allclose(before, after)
        # Upsampling is linear: summed at stride 4 or at full size is the same.
        torch.testing.assert_close(resize(both, (64, 96)), resize(before, (64, 96)) + resize(after, (64, 96)))


def test_a_nonkey_frame_without_keyframe_is_an_error(model, images):
    with pytest.raises(ValueError, match="at least one keyframe"):
        model.nonkey(images[0], None, None)


def test_a_common_feature_of_another_size_is_met(model, images):
    with torch.inference_mode():
        common = model.features(F.interpolate(images[0], size=(32, 48))).common
        assert model.nonkey(images[1], common).shape == (1, 4, 8, 12)


def test_forward_is_the_keyframe_at_full_size(model, images):
    with torch.inference_mode():
        torch.testing.assert_close(model(images[0]), resize(model.keyframe(images[0]), (64, 96)))


@pytest.mark.parametrize("layers", (0, 1))
def test_published_order_changes_nothing(images, layers):
    model = tiny_model(head_layers=layers)
    with torch.inference_mode():
        rewritten = model(images[0])
        model.published_order = True
        torch.testing.assert_close(model(images[0]), rewritten, rtol=1e-4, atol=1e-5)


def test_every_parameter_learns(images):
    model = tiny_model(head_layers=1).train()
    model(images.flatten(0, 1)).square().mean().backward()
    assert [
        name for name, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()
    ] == []
