# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ResNet-18, -50 and -101 with dilated last stages (output stride 8), split into a shallow and a deep
part."""

from __future__ import annotations

from copy import deepcopy

import torch.nn.functional as F
from torch import Tensor, nn

from dcfm_ros.model.backbone_specs import ResNetSpec


class DilatedResNet(nn.Module):
    """Stage 2 ends at stride 8; stages 3 and 4 keep that stride and use dilations 2 and 4 instead.

    The shallow tap of DCFM is stage 1 ("layer1"); `deep` continues from there.
    """

    def __init__(self, spec: ResNetSpec):
        super().__init__()
        self.spec = spec
        self.layer0 = _deep_stem() if spec.bottleneck else _plain_stem()
        block = Bottleneck if spec.bottleneck else BasicBlock
        channels = 128 if spec.bottleneck else 64
        for stage, (depth, width) in enumerate(zip(spec.depths, spec.widths), start=1):
            stride, dilation = {1: (1, 1), 2: (2, 1), 3: (1, 2), 4: (1, 4)}[stage]
            blocks = [block(channels, width, stride, dilation)]
            blocks += [block(width, width, 1, dilation) for _ in range(depth - 1)]
            self.add_module(f"layer{stage}", nn.Sequential(*blocks))
            channels = width

    layer1: nn.Sequential
    layer2: nn.Sequential
    layer3: nn.Sequential
    layer4: nn.Sequential

    def shallow(self, image: Tensor) -> Tensor:
        """Map the normalised image (B, 3, H, W) to the independent feature S (B, C_s, H/4, W/4)."""
        return self.layer1(self.layer0(image))

    def deep(self, shallow: Tensor) -> list[Tensor]:
        """Map the shallow feature to the outputs of stages 2, 3 and 4, all at stride 8."""
        features = [shallow]
        for stage in (self.layer2, self.layer3, self.layer4):
            features.append(stage(features[-1]))
        return features[1:]

    def without_deep(self) -> DilatedResNet:
        """Return a copy that only supports `shallow`."""
        shallow = deepcopy(self)
        del shallow.layer2, shallow.layer3, shallow.layer4
        return shallow

    def deep_stages(self) -> nn.ModuleList:
        """Return copies of the modules of `deep`, one per stage, each a sequence of blocks."""
        return nn.ModuleList(deepcopy(stage) for stage in (self.layer2, self.layer3, self.layer4))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions; only the second is dilated, as published."""

    def __init__(self, in_channels: int, channels: int, stride: int, dilation: int):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = _shortcut(in_channels, channels, stride)

    def forward(self, feature: Tensor) -> Tensor:
        mixed = F.relu(self.bn1(self.conv1(feature)))
        return F.relu(self.bn2(self.conv2(mixed)) + self.downsample(feature))


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions at a quarter of the width; the 3x3 one has the stride and the dilation."""

    def __init__(self, in_channels: int, channels: int, stride: int, dilation: int):
        super().__init__()
        inner = channels // 4
        self.conv1 = nn.Conv2d(in_channels, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels)
        self.downsample = _shortcut(in_channels, channels, stride)

    def forward(self, feature: Tensor) -> Tensor:
        mixed = F.relu(self.bn1(self.conv1(feature)))
        mixed = F.relu(self.bn2(self.conv2(mixed)))
        return F.relu(self.bn3(self.conv3(mixed)) + self.downsample(feature))


def _shortcut(in_channels: int, channels: int, stride: int) -> nn.Module:
    if stride == 1 and in_channels == channels:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(in_channels, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))


def _plain_stem() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 64, 7, 2, padding=3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
    )


def _deep_stem() -> nn.Sequential:
    layers: list[nn.Module] = []
    for in_channels, out_channels, stride in ((3, 64, 2), (64, 64, 1), (64, 128, 1)):
        layers += [
            nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers, nn.MaxPool2d(3, 2, 1))
