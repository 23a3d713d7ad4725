# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""SegFormer's fusion: the rewrite into one small convolution per stage is exact, gradients included."""

import pytest
import torch

from dcfm_ros.model.fusion import SegFormerFusion, resize

WIDTHS = (4, 6, 8, 10)
GRIDS = ((13, 18), (7, 9), (4, 5), (2, 3))


def made(activated=False):
    torch.manual_seed(1)
    fusion = SegFormerFusion(WIDTHS, embed=12, activated=activated).double()
    with torch.no_grad():
        for module in fusion.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0.0, 0.2)
                module.running_var.uniform_(0.5, 2.0)
    return fusion.eval()


@pytest.fixture(params=(False, True), ids=("linear", "relu"))
def either(request):
    return made(request.param)


@pytest.fixture
def fusion():
    return made()


@pytest.fixture
def stages():
    torch.manual_seed(2)
    return [
        torch.randn(2, width, *grid, dtype=torch.float64, requires_grad=True)
        for width, grid in zip(WIDTHS, GRIDS)
    ]


def test_folded_is_published(either, stages):
    torch.testing.assert_close(
        either.mix_folded(stages), either.mix_published(stages), rtol=1e-12, atol=1e-12
    )
    assert torch.equal(either(stages), either(stages, published_order=False))
    assert either(stages).shape == (2, 12, 13, 18)


def test_the_form_for_inference_is_published(either, stages):
    torch.testing.assert_close(
        either.folded_form()(*stages), either(stages, published_order=True), rtol=1e-10, atol=1e-10
    )


def test_gradients_are_equal_too(either, stages):
    torch.manual_seed(3)
    wanted = [*stages, *(p for p in either.parameters() if p.ndim != 1 or p.shape[0] == 12)]
    direction = torch.randn(2, 12, 13, 18, dtype=torch.float64)
    gradients = []
    for published in (True, False):
        gradients.append(torch.autograd.grad((either(stages, published) * direction).sum(), wanted))
    for one, other in zip(*gradients):
        assert one.abs().max() > 0
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def test_the_folded_weights_belong_to_stages_one_to_four(fusion):
    weights, bias = fusion.folded()
    assert [tuple(weight.shape) for weight in weights] == [(12, width) for width in WIDTHS]
    assert bias.shape == (12,)
    # c4 comes first, as published
    last = fusion.linear_fuse.conv.weight[:, :12, 0, 0] @ fusion.linear_c4.proj.weight
    torch.testing.assert_close(weights[3], last)


def test_dropout_only_in_training(fusion, stages):
    assert torch.equal(fusion(stages), fusion(stages))
    torch.manual_seed(0)
    channels = fusion.train()(stages).flatten(2).abs().sum(2)
    assert (channels == 0).any() and (channels > 0).any()


def test_resize():
    feature = torch.arange(6.0).reshape(1, 1, 2, 3)
    assert resize(feature, (2, 3)) is feature
    larger = resize(feature, (4, 6))
    assert larger.shape == (1, 1, 4, 6)
    assert larger[0, 0, 0].tolist() == [0.0, 0.25, 0.75, 1.25, 1.75, 2.0]  # corners are not aligned
