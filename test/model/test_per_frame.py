# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Networks that segment every frame on its own."""

import pytest
import torch
from helpers import tiny_model
from torch import nn

from dcfm_ros.model.fusion import resize


@pytest.fixture
def image():
    return torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(5))


@pytest.mark.slow
@pytest.mark.parametrize(
    "backbone, width, grid",
    (("mit_b0", 256, (16, 24)), ("pspnet18", 1024, (8, 12)), ("resnet18", 512, (8, 12))),
)
def test_it_is_the_backbone_and_a_classifier_with_bias(image, backbone, width, grid):
    model = tiny_model(architecture="per_frame", backbone=backbone)
    with torch.inference_mode():
        deep = model.fusion(model.encoder.deep(model.encoder.shallow(image)))
        logits = model.keyframe(image)
        weight, bias = model.classifier.weight[:, :, 0, 0], model.classifier.bias
        expected = torch.einsum("kc,bchw->bkhw", weight, deep) + bias[:, None, None]
        assert deep.shape == (2, width, *grid)
        torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)
        assert torch.equal(model(image), resize(logits, (64, 96)))
    assert [name for name, _ in model.named_children()] == ["encoder", "fusion", "dropout", "classifier"]


def test_the_backbone_is_that_of_dcfm():
    """So that training may start from one or the other."""
    for backbone in ("mit_b0", "pspnet18"):
        alone, dcfm = (
            tiny_model(architecture=kind, backbone=backbone).state_dict() for kind in ("per_frame", "dcfm")
        )
        parts = ("encoder.", "fusion.")
        assert [(k, v.shape) for k, v in alone.items() if k.startswith(parts)] == [
            (k, v.shape) for k, v in dcfm.items() if k.startswith(parts)
        ]


@pytest.mark.parametrize("backbone", ("mit_b0", "pspnet18"))
def test_features_are_dropped_once_in_training_and_never_after(image, backbone):
    model = tiny_model(architecture="per_frame", backbone=backbone, dropout=0.5)
    assert sum(module.p for module in model.modules() if isinstance(module, nn.Dropout2d)) == 0.5
    with torch.inference_mode():
        assert torch.equal(model(image), model(image))
        model.train()
        assert not torch.equal(model(image), model(image))


def test_published_order_changes_nothing(image):
    model = tiny_model(architecture="per_frame")
    with torch.inference_mode():
        rewritten = model(image)
        model.published_order = True
        torch.testing.assert_close(model(image), rewritten, rtol=1e-4, atol=1e-5)


def test_every_parameter_learns(image):
    model = tiny_model(architecture="per_frame").train()
    model(image).square().mean().backward()
    assert [
        name for name, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()
    ] == []
