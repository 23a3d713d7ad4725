# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parts in float16: within a bound of float32, and safe where float16 is not."""

import pytest
import torch
from helpers import one_thread, tiny_model  # noqa: F401
from torch import nn

from dcfm_ros.model.folder import load_model
from dcfm_ros.model.half import fold_batch_norms, half_precision
from dcfm_ros.model.inference import fold, unit_length

# Measured: at most 5.4e-4 in S, 4.0e-4 in the common contribution, 1.4e-3 in logits.
BOUND = 4e-3
# In trained EfficientNet-Lite2 70 convolutions follow one another without a norm in float32. Measured on
# noise: 4.6e-3 in the logits, and 3 of 1000 pixels of another class.
DEEP_BOUND = 1e-2
KINDS = {
    "mit_b0": {},
    "head": {"head_layers": 1},
    "per_frame": {"architecture": "per_frame"},
    "resnet18": {"backbone": "resnet18"},
    "efficientnet_lite0": {"backbone": "efficientnet_lite0", "embed": 32},
    "pspnet18": {"backbone": "pspnet18", "common_width": 24, "head_layers": 1},
    "per_frame_pspnet18": {"architecture": "per_frame", "backbone": "pspnet18"},
}


def picture(size):
    return torch.randint(0, 256, (1, *size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))


def distance(found, wanted):
    return float((found.float() - wanted).norm() / wanted.norm())


def compare(model, size, bound=BOUND):
    exact, image = fold(model), picture(size)
    half = half_precision(exact)
    with torch.inference_mode():
        shallow = exact.shallow(image)
        common = exact.deep(shallow)
        logits = exact.decoder(shallow, common)
        half_shallow = half.shallow(image)
        half_common = half.deep(half_shallow)
        half_logits = half.decoder(half_shallow, half_common)
    assert half_shallow.dtype == torch.float16 and half_logits.dtype == torch.float32
    for found, wanted in ((half_shallow, shallow), (half_common, common), (half_logits, logits)):
        assert torch.isfinite(found).all() and 0 < distance(found, wanted) < bound


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_parts_are_near_those_in_float32(kind):
    compare(tiny_model(**KINDS[kind]), (66, 101))


@pytest.mark.slow
@pytest.mark.parametrize("name, bound", (("street11", DEEP_BOUND), ("street11_b0", BOUND)))
def test_the_built_in_models(name, bound):
    compare(load_model(name), (96, 128), bound)


@pytest.mark.slow
def test_the_float32_parts_are_left_alone():
    parts = fold(tiny_model(backbone="resnet18"))
    before = [{key: value.clone() for key, value in part.state_dict().items()} for part in parts]
    half_precision(parts)
    for part, state in zip(parts, before):
        assert part.state_dict().keys() == state.keys()
        assert all(torch.equal(value, state[key]) for key, value in part.state_dict().items())


@pytest.mark.parametrize("scale", (0.0, 1e-6, 300.0))
def test_a_length_beyond_float16(scale):
    """256 channels of 300 have a sum of squares of 2e7; of nothing there is no direction."""
    feature = torch.full((1, 256, 2, 2), scale, dtype=torch.float16)
    found = unit_length(feature)
    assert found.dtype == torch.float16 and torch.isfinite(found).all()
    torch.testing.assert_close(
        found.float().norm(dim=1), torch.full((1, 2, 2), float(scale > 0)), rtol=2e-3, atol=0
    )


def test_a_decoder_of_features_of_nothing():
    """ReLU leaves whole pixels at zero: 0 / 0 is not a number."""
    parts = half_precision(fold(tiny_model()))
    with torch.inference_mode():
        shallow = torch.zeros(1, 32, 4, 4, dtype=torch.float16)
        logits = parts.decoder(shallow, torch.full((1, 256, 4, 4), -1.0, dtype=torch.float16))
    assert torch.equal(logits, torch.zeros_like(logits))


def test_no_batch_norm_is_left_to_be_rounded():
    parts = half_precision(fold(tiny_model(backbone="pspnet18", common_width=24, head_layers=1)))
    assert not any(isinstance(module, nn.BatchNorm2d) for part in parts for module in part.modules())


def test_norms_of_channels_compute_in_float32():
    deep = half_precision(fold(tiny_model())).deep
    norms = [module for module in deep.modules() if isinstance(module, nn.LayerNorm)]
    assert norms and all(norm.weight.dtype == torch.float32 for norm in norms)
    others = [tensor for name, tensor in deep.named_parameters() if ".norm." not in name]
    assert others and all(tensor.dtype == torch.float16 for tensor in others)


def test_batch_norms_are_folded_exactly():
    torch.manual_seed(0)
    last = nn.Sequential(nn.Conv2d(4, 2, 1, bias=False), nn.BatchNorm2d(2))
    part = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), last)
    for module in part.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(), module.running_var.uniform_(0.5, 2)
    part.eval()
    image = torch.rand(1, 3, 8, 8)
    with torch.inference_mode():
        wanted = part(image)
        fold_batch_norms(part)
        torch.testing.assert_close(part(image), wanted, rtol=1e-5, atol=1e-6)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in part.modules())


def test_a_batch_norm_without_a_convolution_is_named():
    with pytest.raises(
        ValueError, match="no convolution precedes the batch norms 1: float16 needs them folded"
    ):
        fold_batch_norms(nn.Sequential(nn.ReLU(), nn.BatchNorm2d(3)))
