# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""SegFormer's all-MLP fusion of the four stages into the deep feature D.

As published: each stage passes a linear layer and is upsampled to stride 4; all are concatenated and mixed by
a 1x1 convolution. A 1x1 convolution commutes with bilinear upsampling, so the same value results from one
small 1x1 convolution per stage at that stage's own resolution, followed by upsampling and addition. This is
exact, and needs about 17 times less arithmetic for MiT-B0; the parameters keep their published form.

MMSegmentation's SegFormer has a 1x1 convolution, batch norm and ReLU for each stage instead of the linear
layer. The ReLU keeps the two layers of a stage apart; the rest of the rewrite holds for it, too.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def resize(feature: Tensor, size: tuple[int, ...]) -> Tensor:
    """Resize bilinearly, align_corners false; returns the feature itself if the size already matches."""
    if tuple(feature.shape[2:]) == tuple(size):
        return feature
    return F.interpolate(feature, size=size, mode="bilinear", align_corners=False)


class StageLinear(nn.Module):
    """A linear layer over the channels of a feature map."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.proj = nn.Linear(in_channels, out_channels)

    def forward(self, feature: Tensor) -> Tensor:
        return self.proj(feature.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class FuseConv(nn.Module):
    """Bias-free 1x1 convolution and batch norm."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.bn = nn.BatchNorm2d(out_channels, eps=1e-5)

    def folded(self) -> tuple[Tensor, Tensor]:
        """Return weight and bias of the one convolution that equals both in evaluation mode."""
        # all norms in this package track them
        assert self.bn.running_mean is not None and self.bn.running_var is not None
        gain = self.bn.weight / torch.sqrt(self.bn.running_var + self.bn.eps)
        return gain[:, None, None, None] * self.conv.weight, self.bn.bias - gain * self.bn.running_mean


class StageConv(FuseConv):
    """Bias-free 1x1 convolution, batch norm and ReLU."""

    def forward(self, feature: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(feature)))


class SegFormerFusion(nn.Module):
    """Fuses four stage outputs to the deep feature D (B, embed, H/4, W/4).

    activated: each stage passes convolution, batch norm and ReLU first, otherwise a linear layer
    """

    def __init__(
        self, widths: tuple[int, ...], embed: int = 256, dropout: float = 0.1, activated: bool = False
    ):
        super().__init__()
        self.embed, self.activated = embed, activated
        for stage, width in enumerate(widths, start=1):
            layer = StageConv(width, embed) if activated else StageLinear(width, embed)
            self.add_module(f"linear_c{stage}", layer)
        self.linear_fuse = FuseConv(4 * embed, embed)
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, features: list[Tensor], published_order: bool = False) -> Tensor:
        mixed = self.mix_published(features) if published_order else self.mix_folded(features)
        return self.dropout(F.relu(self.linear_fuse.bn(mixed)))

    def mix_published(self, features: list[Tensor]) -> Tensor:
        """Mix in the published order of operations, kept as the reference for the exact rewrite."""
        size = tuple(features[0].shape[2:])
        embedded = [resize(self._layer(stage)(features[stage - 1]), size) for stage in (4, 3, 2, 1)]
        return self.linear_fuse.conv(torch.cat(embedded, dim=1))

    def mix_folded(self, features: list[Tensor]) -> Tensor:
        """Compute the same value: fold, convolve at each stage's resolution, upsample, add."""
        size = tuple(features[0].shape[2:])
        weights, bias = self.folded()
        if self.activated:
            features = [self._layer(stage)(feature) for stage, feature in enumerate(features, start=1)]
        mixed = F.conv2d(features[0], weights[0][:, :, None, None], bias)
        for feature, weight in zip(features[1:], weights[1:]):
            mixed = mixed + resize(F.conv2d(feature, weight[:, :, None, None]), size)
        return mixed

    def folded(self) -> tuple[list[Tensor], Tensor]:
        """Return the products W_i L_i for stages 1..4, each (embed, width_i), and the summed bias (embed,).
        If activated, W_i themselves, each (embed, embed), and zero. Differentiable."""
        whole = self.linear_fuse.conv.weight[:, :, 0, 0]
        parts = whole.split(self.embed, dim=1)[::-1]  # stored in the order c4, c3, c2, c1
        weights, bias = [], torch.zeros_like(whole[:, 0])
        for stage, part in enumerate(parts, start=1):
            layer = self._layer(stage)
            if isinstance(layer, StageConv):
                weights.append(part)
            else:
                weights.append(part @ layer.proj.weight)
                bias = bias + part @ layer.proj.bias
        return weights, bias

    def layers(self) -> list[StageLinear | StageConv]:
        """Return the layers of stages 1 to 4."""
        return [self._layer(stage) for stage in (1, 2, 3, 4)]

    def _layer(self, stage: int) -> StageLinear | StageConv:
        return getattr(self, f"linear_c{stage}")

    def folded_form(self) -> FoldedFusion:
        """Return a module for inference that takes the four stages' features and shares no memory with this
        one."""
        return FoldedFusion(self)


class FoldedFusion(nn.Module):
    """SegFormer fusion as four small 1x1 convolutions, with batch norm folded in. If activated, each comes
    after another one with ReLU, in `first`."""

    def __init__(self, fusion: SegFormerFusion):
        super().__init__()
        weights, bias = fusion.folded()
        norm = fusion.linear_fuse.bn
        # all norms in this package track them
        assert norm.running_mean is not None and norm.running_var is not None
        gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        self.first = nn.ModuleList(_folded_first(layer) for layer in fusion.layers())
        self.weights = nn.ParameterList((gain[:, None] * weight)[:, :, None, None] for weight in weights)
        self.bias = nn.Parameter(gain * (bias - norm.running_mean) + norm.bias)

    def forward(self, *features: Tensor) -> Tensor:
        size = (features[0].shape[2], features[0].shape[3])
        features = tuple(layer(feature) for layer, feature in zip(self.first, features))
        mixed = F.conv2d(features[0], self.weights[0], self.bias)
        for feature, weight in zip(features[1:], list(self.weights)[1:]):
            small = F.conv2d(feature, weight)
            mixed = mixed + F.interpolate(small, size=size, mode="bilinear", align_corners=False)
        return F.relu(mixed)


def _folded_first(layer: StageLinear | StageConv) -> nn.Module:
    if isinstance(layer, StageLinear):  # is part of the weights
        return nn.Identity()
    weight, bias = layer.folded()
    conv = nn.Conv2d(weight.shape[1], weight.shape[0], 1, device="meta")  # no random initialisation
    conv.weight, conv.bias = nn.Parameter(weight), nn.Parameter(bias)
    return nn.Sequential(conv, nn.ReLU())
