# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Dilated ResNets: published structure, sizes, the cut into a shallow and a deep part."""

import pytest
import torch
from helpers import tiny_model
from torch import nn

from dcfm_ros.model.backbone_specs import RESNET_SPECS
from dcfm_ros.model.resnet import BasicBlock, Bottleneck, DilatedResNet


def on_meta(name: str) -> DilatedResNet:
    with torch.device("meta"):
        return DilatedResNet(RESNET_SPECS[name])


def wide_convolutions(module: nn.Module) -> dict[str, tuple[int, int, int]]:
    """(stride, padding, dilation) of the 3x3 convolutions by name."""
    return {
        name: (conv.stride[0], conv.padding[0], conv.dilation[0])
        for name, conv in module.named_modules()
        if isinstance(conv, nn.Conv2d) and conv.kernel_size == (3, 3)
    }


@pytest.mark.parametrize(
    "name, parameters",
    [
        ("resnet18", 11_176_512),  # of ImageNet classification, 11,689,512, without its classifier
        ("resnet50", 23_631_808),  # likewise 25,557,032, with the deep stem instead of the plain one
        ("resnet101", 42_623_936),  # likewise 44,549,160
    ],
)
def test_parameter_counts(name, parameters):
    for variant in (name, name.replace("resnet", "pspnet")):
        assert sum(parameter.numel() for parameter in on_meta(variant).parameters()) == parameters


@pytest.mark.slow
@pytest.mark.parametrize("name", RESNET_SPECS)
def test_every_table_row_is_consistent(name):
    spec, encoder = RESNET_SPECS[name], on_meta(name)
    stages = [getattr(encoder, f"layer{stage}") for stage in (1, 2, 3, 4)]
    assert [len(stage) for stage in stages] == list(spec.depths)
    assert spec.shallow_channels == spec.widths[0] == (64 if name.endswith("18") else 256)
    assert spec.deep_channels == {"resnet18": 512, "pspnet18": 1024}.get(name, 4096 if spec.pyramid else 2048)
    features = [encoder.shallow(torch.empty(1, 3, 64, 96, device="meta"))]
    features += encoder.deep(features[0])
    assert [tuple(feature.shape[1:]) for feature in features] == [
        (width, *grid) for width, grid in zip(spec.widths, ((16, 24), (8, 12), (8, 12), (8, 12)))
    ]


def test_stems():
    """ResNet-18 begins with one 7x7 convolution, the others with three of 3x3, as the published ones."""
    plain = [layer for layer in on_meta("resnet18").layer0 if isinstance(layer, nn.Conv2d)]
    deep = [layer for layer in on_meta("resnet50").layer0 if isinstance(layer, nn.Conv2d)]
    assert [(c.in_channels, c.out_channels, c.kernel_size[0], c.stride[0]) for c in plain] == [(3, 64, 7, 2)]
    assert [(c.in_channels, c.out_channels, c.kernel_size[0], c.stride[0]) for c in deep] == [
        (3, 64, 3, 2),
        (64, 64, 3, 1),
        (64, 128, 3, 1),
    ]


def test_which_convolutions_are_dilated():
    """In stages 3 and 4 each block's conv2, the first block's too; conv1 of ResNet-18 is not. Only stage 2
    has a stride."""
    small, large = on_meta("resnet18"), on_meta("resnet101")
    for stage, dilation in ((1, 1), (2, 1), (3, 2), (4, 4)):
        expected = {}
        for block in range(2):
            expected[f"{block}.conv1"] = (2 if (stage, block) == (2, 0) else 1, 1, 1)
            expected[f"{block}.conv2"] = (1, dilation, dilation)
        assert wide_convolutions(getattr(small, f"layer{stage}")) == expected
        depth = RESNET_SPECS["resnet101"].depths[stage - 1]
        assert wide_convolutions(getattr(large, f"layer{stage}")) == {
            f"{block}.conv2": (2 if (stage, block) == (2, 0) else 1, dilation, dilation)
            for block in range(depth)
        }


@pytest.mark.parametrize(
    "kind, in_channels, stride, has",
    [
        (BasicBlock, 16, 1, False),
        (BasicBlock, 16, 2, True),
        (BasicBlock, 8, 1, True),
        (Bottleneck, 16, 1, False),
        (Bottleneck, 8, 1, True),
    ],
)
def test_blocks_are_those_of_the_formula(kind, in_channels, stride, has):
    """ReLU(branch + shortcut); the shortcut is the input itself where sizes and channels allow."""
    torch.manual_seed(0)
    block = kind(in_channels, 16, stride, dilation=2).double().eval()
    feature = torch.randn(2, in_channels, 6, 8, dtype=torch.float64)
    with torch.inference_mode():
        branch = block.bn1(block.conv1(feature)).clamp_min(0)
        branch = block.bn2(block.conv2(branch))
        if kind is Bottleneck:
            branch = block.bn3(block.conv3(branch.clamp_min(0)))
        shortcut = block.downsample[1](block.downsample[0](feature)) if has else feature
        torch.testing.assert_close(block(feature), (branch + shortcut).clamp_min(0))
    assert isinstance(block.downsample, nn.Identity) != has


@pytest.mark.slow
@pytest.mark.parametrize(
    "height, width, shallow_grid, deep_grid",
    [(64, 96, (16, 24), (8, 12)), (50, 70, (13, 18), (7, 9)), (33, 32, (9, 8), (5, 4))],
)
def test_deep_goes_on_from_shallow(height, width, shallow_grid, deep_grid):
    encoder = tiny_model(backbone="resnet18").encoder
    image = torch.randn(2, 3, height, width)
    with torch.inference_mode():
        shallow = encoder.shallow(image)
        features = encoder.deep(shallow)
        whole = encoder.layer4(encoder.layer3(encoder.layer2(encoder.layer1(encoder.layer0(image)))))
    assert shallow.shape == (2, 64, *shallow_grid)
    assert [tuple(feature.shape) for feature in features] == [
        (2, channels, *deep_grid) for channels in (128, 256, 512)
    ]
    assert torch.equal(features[-1], whole)


def test_the_two_parts_on_their_own():
    encoder, image = tiny_model(backbone="pspnet18").encoder, torch.randn(1, 3, 64, 96)
    shallow_part, stages = encoder.without_deep(), encoder.deep_stages()
    with torch.inference_mode():
        features = [shallow_part.shallow(image)]
        for stage in stages:
            features.append(stage(features[-1]))
        for found, expected in zip(features[1:], encoder.deep(encoder.shallow(image)), strict=True):
            assert torch.equal(found, expected)
    parts = [*shallow_part.parameters(), *stages.parameters()]
    assert sum(p.numel() for p in parts) == sum(p.numel() for p in encoder.parameters())
    assert not {p.data_ptr() for p in parts} & {p.data_ptr() for p in encoder.parameters()}


def test_images_of_a_batch_do_not_mix():
    model, images = tiny_model(backbone="pspnet18", common_width=16), torch.randn(3, 3, 64, 96)
    with torch.inference_mode():
        together, single = model(images), torch.cat([model(image[None]) for image in images])
    torch.testing.assert_close(together, single, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ("resnet18", "pspnet18"))
def test_every_parameter_learns(backbone):
    model = tiny_model(backbone=backbone, common_width=16, head_layers=1).train()
    model(torch.randn(2, 3, 64, 96)).square().mean().backward()
    assert [
        name for name, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()
    ] == []
