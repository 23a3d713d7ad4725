# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""EfficientNet-Lite: published sizes and arithmetic, the cut into a shallow and a deep part."""

import pytest
import torch
import torch.nn.functional as F
from helpers import tiny_model
from torch import Tensor, nn

from dcfm_ros.model.backbone_specs import EFFICIENTNET_SPECS
from dcfm_ros.model.efficientnet import ConvNorm, EfficientNetLite

# Blocks of Lite0: kernel, stride, expansion, channels they end in.
LITE0 = (
    (3, 1, 1, 16),
    (3, 2, 6, 24),
    (3, 1, 6, 24),
    (5, 2, 6, 40),
    (5, 1, 6, 40),
    (3, 2, 6, 80),
    (3, 1, 6, 80),
    (3, 1, 6, 80),
    (5, 1, 6, 112),
    (5, 1, 6, 112),
    (5, 1, 6, 112),
    (5, 2, 6, 192),
    (5, 1, 6, 192),
    (5, 1, 6, 192),
    (5, 1, 6, 192),
    (3, 1, 6, 320),
)


def reference(weights: dict[str, Tensor], image: Tensor) -> list[Tensor]:
    """Outputs of all blocks of Lite0, by the published arithmetic: TensorFlow's SAME padding, batch norm with
    eps 0.001, ReLU6."""

    def layer(name: str, feature: Tensor, stride: int = 1, groups: int = 1) -> Tensor:
        weight = weights[f"{name}.conv.weight"]
        pads = []
        for size in feature.shape[:1:-1]:  # width, then height
            pad = max((-(-size // stride) - 1) * stride + weight.shape[-1] - size, 0)
            pads += [pad // 2, pad - pad // 2]
        feature = F.conv2d(F.pad(feature, pads), weight, stride=stride, groups=groups)
        mean, variance, gain, bias = (
            weights[f"{name}.norm.{part}"][:, None, None]
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (feature - mean) / (variance + 1e-3) ** 0.5 * gain + bias

    feature, outputs = layer("stem", image, 2).clamp(0, 6), []
    for number, (_, stride, expansion, channels) in enumerate(LITE0):
        name, mixed = f"blocks.{number}", feature
        if expansion > 1:
            mixed = layer(f"{name}.expand", mixed).clamp(0, 6)
        mixed = layer(f"{name}.depthwise", mixed, stride, mixed.shape[1]).clamp(0, 6)
        mixed = layer(f"{name}.project", mixed)
        feature = mixed + feature if stride == 1 and channels == feature.shape[1] else mixed
        outputs.append(feature)
    return outputs


@pytest.mark.slow
@pytest.mark.parametrize("size", [(64, 96), (67, 101)])
def test_features_are_those_of_the_published_arithmetic(size):
    encoder = tiny_model(backbone="efficientnet_lite0", embed=16).encoder.double()
    image = torch.randn(2, 3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        wanted = reference(encoder.state_dict(), image)
        found = encoder.deep(encoder.shallow(image))
    assert [tuple(feature.shape[1:]) for feature in found] == [
        (channels, -(-size[0] // stride), -(-size[1] // stride))
        for channels, stride in ((24, 4), (40, 8), (112, 16), (320, 32))
    ]
    for feature, number in zip(found, (2, 4, 10, 15)):
        assert torch.allclose(feature, wanted[number], rtol=1e-9, atol=1e-9)
        assert wanted[number].std() > 0.1


@pytest.mark.parametrize(
    "name, parameters",
    [
        (
            "efficientnet_lite0",
            4_652_008,
        ),  # of ImageNet classification, published: 4.7, 5.4, 6.1, 8.2 and 13.0 million
        ("efficientnet_lite1", 5_416_680),
        ("efficientnet_lite2", 6_092_072),
        ("efficientnet_lite3", 8_197_096),
        ("efficientnet_lite4", 13_006_568),
    ],
)
def test_parameter_counts(name, parameters):
    spec = EFFICIENTNET_SPECS[name]
    with torch.device("meta"):
        encoder = EfficientNetLite(spec)
    last = spec.widths[-1]
    classifier = last * 1280 + 2 * 1280 + 1280 * 1000 + 1000
    assert sum(parameter.numel() for parameter in encoder.parameters()) + classifier == parameters


def test_stages_of_lite2():
    stages = EFFICIENTNET_SPECS["efficientnet_lite2"].stages
    assert [stage.depth for stage in stages] == [1, 3, 3, 4, 4, 5, 1]
    assert [stage.channels for stage in stages] == [16, 24, 48, 88, 120, 208, 352]


def test_parts_do_what_the_whole_does():
    model = tiny_model(backbone="efficientnet_lite0", embed=16)
    image = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        shallow = model.encoder.without_deep().shallow(image)
        features = [shallow]
        for stage in model.encoder.deep_stages():
            features.append(stage(features[-1]))
        wanted = model.encoder.deep(model.encoder.shallow(image))
    assert all(torch.equal(one, other) for one, other in zip(features[1:], wanted, strict=True))
    assert len(model.encoder.without_deep().blocks) == 3 and len(model.encoder.blocks) == 16


def test_residual_branches_are_dropped_more_often_the_deeper_they_are():
    with torch.device("meta"):
        encoder = EfficientNetLite(EFFICIENTNET_SPECS["efficientnet_lite0"], drop_path=0.2)
    assert [round(block.drop_path, 4) for block in encoder.blocks] == [
        round(0.2 * number / 16, 4) for number in range(16)
    ]
    block = tiny_model(backbone="efficientnet_lite0", embed=16, drop_path=0.9).encoder.blocks[14]
    feature = torch.randn(64, 192, 2, 2)
    block.train()
    kept = (block(feature) != feature).flatten(1).any(1).float().mean()
    assert 0 < kept < 0.5 and torch.equal(block.eval()(feature), block(feature))


def test_depthwise_gradients_are_those_of_float32():
    """What is computed in float32 for speed's sake is as exact as without autocast, but for its input."""
    torch.manual_seed(0)
    layer = ConvNorm(8, 8, 3, groups=8).train()
    feature = torch.randn(4, 8, 8, 8).bfloat16().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(feature)
    found.float().square().sum().backward()
    exact = nn.Sequential(layer.conv, layer.norm)(feature.detach().float())
    assert found.dtype == torch.bfloat16 and torch.equal(found, exact.bfloat16())
    assert feature.grad.abs().max() > 0
