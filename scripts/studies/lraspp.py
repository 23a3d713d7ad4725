# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""LR-ASPP on MobileNetV3-Large (Howard et al. 2019, "Searching for MobileNetV3", Table 1 and section 6.4), to
be timed.

Written from the paper. Where it leaves a choice, the one of torchvision's `lraspp_mobilenet_v3_large` is
taken, which most people run: output stride 16, the last stage at its full width, pooling over the whole
image. The number of parameters is the same.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcfm_ros.model.fusion import resize

STEM, LAST = 16, 960  # channels of the first and of the last convolution
HEAD = 128  # channels of the head, F in the paper
NORM_EPS = 1e-3


class Block(NamedTuple):
    """A row of the paper's Table 1."""

    kernel: int
    inner: int  # channels after expansion
    channels: int
    squeezes: bool
    activation: type[nn.Module]
    stride: int
    dilation: int = 1


_RE, _HS = nn.ReLU, nn.Hardswish
# The last stage has dilated convolutions instead of a stride.
BLOCKS = (
    Block(3, 16, 16, False, _RE, 1),
    Block(3, 64, 24, False, _RE, 2),
    Block(3, 72, 24, False, _RE, 1),
    Block(5, 72, 40, True, _RE, 2),
    Block(5, 120, 40, True, _RE, 1),
    Block(5, 120, 40, True, _RE, 1),
    Block(3, 240, 80, False, _HS, 2),
    Block(3, 200, 80, False, _HS, 1),
    Block(3, 184, 80, False, _HS, 1),
    Block(3, 184, 80, False, _HS, 1),
    Block(3, 480, 112, True, _HS, 1),
    Block(3, 672, 112, True, _HS, 1),
    Block(5, 672, 160, True, _HS, 1, 2),
    Block(5, 960, 160, True, _HS, 1, 2),
    Block(5, 960, 160, True, _HS, 1, 2),
)
LOW = 6  # blocks up to the end of stride 8


class LRASPP(nn.Module):
    """From a normalised image (B, 3, h, w) to logits (B, classes, h / 8, w / 8)."""

    def __init__(self, classes: int):
        super().__init__()
        self.stem = _conv_norm(3, STEM, 3, _HS, stride=2)
        inputs = (STEM, *(block.channels for block in BLOCKS))
        blocks = [InvertedResidual(channels, block) for channels, block in zip(inputs, BLOCKS)]
        self.low, self.high = nn.Sequential(*blocks[:LOW]), nn.Sequential(*blocks[LOW:])
        self.last = _conv_norm(BLOCKS[-1].channels, LAST, 1, _HS)
        self.head = LRASPPHead(BLOCKS[LOW - 1].channels, LAST, classes)

    def forward(self, image: Tensor) -> Tensor:
        low = self.low(self.stem(image))
        return self.head(low, self.last(self.high(low)))


class LRASPPHead(nn.Module):
    """Deep features, weighted by what the whole image contains, are upsampled and classified; the
    classification of fine features is added."""

    def __init__(self, low: int, high: int, classes: int, channels: int = HEAD):
        super().__init__()
        self.project = _conv_norm(high, channels, 1, nn.ReLU, eps=1e-5)
        self.weigh = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(high, channels, 1, bias=False), nn.Sigmoid()
        )
        self.classifier = nn.Conv2d(channels, classes, 1)
        self.low_classifier = nn.Conv2d(low, classes, 1)

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        weighted = self.project(high) * self.weigh(high)
        return self.classifier(resize(weighted, low.shape[2:])) + self.low_classifier(low)


class InvertedResidual(nn.Module):
    """Expansion, depth-wise convolution, squeeze-and-excitation where the table has it, projection."""

    def __init__(self, channels: int, block: Block):
        super().__init__()
        layers: list[nn.Module] = []
        if block.inner != channels:
            layers.append(_conv_norm(channels, block.inner, 1, block.activation))
        layers.append(
            _conv_norm(
                block.inner,
                block.inner,
                block.kernel,
                block.activation,
                stride=block.stride,
                dilation=block.dilation,
                groups=block.inner,
            )
        )
        if block.squeezes:
            layers.append(SqueezeExcite(block.inner))
        layers.append(_conv_norm(block.inner, block.channels, 1, nn.Identity))
        self.layers = nn.Sequential(*layers)
        self.is_residual = block.stride == 1 and channels == block.channels

    def forward(self, feature: Tensor) -> Tensor:
        mixed = self.layers(feature)
        return feature + mixed if self.is_residual else mixed


class SqueezeExcite(nn.Module):
    """Weighs channels by their means, with a quarter of the channels in between."""

    def __init__(self, channels: int):
        super().__init__()
        squeezed = 8 * int(channels / 4 / 8 + 0.5)
        squeezed += 8 * (squeezed < 0.9 * channels / 4)  # rounding down loses no more than a tenth
        self.squeeze, self.excite = nn.Conv2d(channels, squeezed, 1), nn.Conv2d(squeezed, channels, 1)

    def forward(self, feature: Tensor) -> Tensor:
        means = F.adaptive_avg_pool2d(feature, 1)
        return feature * F.hardsigmoid(self.excite(F.relu(self.squeeze(means))))


def _conv_norm(
    inputs: int,
    outputs: int,
    kernel: int,
    activation: type[nn.Module],
    stride: int = 1,
    dilation: int = 1,
    groups: int = 1,
    eps: float = NORM_EPS,
) -> nn.Sequential:
    conv = nn.Conv2d(
        inputs,
        outputs,
        kernel,
        stride,
        padding=dilation * (kernel // 2),
        dilation=dilation,
        groups=groups,
        bias=False,
    )
    return nn.Sequential(conv, nn.BatchNorm2d(outputs, eps=eps), activation())


def parameters(network: nn.Module) -> int:
    """Their number."""
    return sum(tensor.numel() for tensor in network.parameters())


def random_lraspp(classes: int, seed: int = 0) -> LRASPP:
    """With seeded random weights, in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LRASPP(classes).eval()
