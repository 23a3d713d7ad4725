# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Deep Common Feature Mining: the deep feature of a keyframe serves frames that only compute a shallow one.

Symbols as in the paper (section 3): S independent (shallow) feature, D deep feature, C common feature, FFM
fusion. This is the training form, with the published parameters. `dcfm_ros.model.inference` folds it for
inference.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcfm_ros.model.backbone import make_backbone
from dcfm_ros.model.config import ModelConfig
from dcfm_ros.model.fusion import resize


def unit(feature: Tensor) -> Tensor:
    """L2-normalise a feature over its channels."""
    if torch.is_grad_enabled() and feature.requires_grad:
        return UnitLength.apply(feature)
    return F.normalize(feature, dim=1, eps=1e-12)


class UnitLength(torch.autograd.Function):
    """`unit` with an explicit backward pass: half the memory traffic of autograd's, which dominates
    training."""

    @staticmethod
    def forward(ctx: Any, feature: Tensor) -> Tensor:
        pixels = feature.permute(0, 2, 3, 1)  # channels-last: reductions run along contiguous memory
        smallest = max(1e-12, torch.finfo(feature.dtype).tiny)  # 1e-12 is 0 in float16
        scale = torch.linalg.vector_norm(pixels, dim=3, keepdim=True).clamp_min(smallest).reciprocal()
        direction = pixels * scale
        ctx.save_for_backward(direction, scale)
        return direction.permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        direction, scale = ctx.saved_tensors
        grad = grad.permute(0, 2, 3, 1)
        radial = torch.linalg.vecdot(grad, direction).unsqueeze(3)
        return torch.addcmul(grad, direction, radial, value=-1.0).mul_(scale).permute(0, 3, 1, 2)


class FeatureFusion(nn.Module):
    """FFM(C, S) = ReLU(BN(W [C ; S[:s]] + b))."""

    def __init__(self, common: int, used: int, out_channels: int):
        super().__init__()
        self.used = used
        self.conv = nn.Conv2d(common + used, out_channels, 1)
        self.norm = nn.BatchNorm2d(out_channels, eps=1e-5)

    def forward(self, common: Tensor, shallow: Tensor, published_order: bool = False) -> Tensor:
        """Fuse common (B, C, h, w) and shallow (B, C_s, h, w), both of unit length per pixel."""
        if published_order:
            mixed = self.conv(torch.cat([common, shallow[:, : self.used]], dim=1))
        else:  # two products instead of a concatenation avoid a copy
            split = common.shape[1]
            mixed = F.conv2d(common, self.conv.weight[:, :split], self.conv.bias)
            mixed = mixed + F.conv2d(shallow[:, : self.used], self.conv.weight[:, split:])
        return F.relu(self.norm(mixed))


class Head(nn.Module):
    """layers = 0: dropout, 1x1 conv. layers = 1: 1x1 conv, BN, ReLU, dropout, 1x1 conv. No biases."""

    def __init__(self, channels: int, classes: int, layers: int, dropout: float):
        super().__init__()
        self.hidden = (
            nn.Sequential(
                nn.Conv2d(channels, channels, 1, bias=False), nn.BatchNorm2d(channels, eps=1e-5), nn.ReLU()
            )
            if layers
            else nn.Identity()
        )
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = nn.Conv2d(channels, classes, 1, bias=False)

    def forward(self, feature: Tensor) -> Tensor:
        return self.classifier(self.dropout(self.hidden(feature)))


class Features(NamedTuple):
    """The features of one frame; both of unit length per pixel. C is at stride 4 (MiT) or 8 (ResNet)."""

    common: Tensor  # C, (B, common, h, w)
    shallow: Tensor  # norm(S), (B, C_s, H/4, W/4)


class DCFM(nn.Module):
    """The network in training form. Images are RGB, normalised by `dcfm_ros.model.image`, (B, 3, H, W)
    float."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.folder: Path | None = None  # folder it was loaded from
        self.encoder, self.fusion = make_backbone(config)
        common = config.common_channels
        self.bottleneck = (
            nn.Conv2d(config.deep_channels, common, 1, bias=False) if config.common_width else nn.Identity()
        )
        self.ffm = FeatureFusion(common, config.shallow_used, common)
        self.head = Head(common, len(config.classes), config.head_layers, config.dropout)
        self.published_order = False  # True: the published order of operations, for reference and parity

    def shallow(self, image: Tensor) -> Tensor:
        """Return the independent feature S before normalisation, (B, C_s, H/4, W/4)."""
        return self.encoder.shallow(image)

    def deep(self, shallow: Tensor) -> Tensor:
        """Map S (before normalisation) to the deep feature D, (B, deep, h, w)."""
        return self.fusion(self.encoder.deep(shallow), self.published_order)

    def features(self, image: Tensor, aligned: bool = False) -> Features:
        """Return C and norm(S) of a batch.

        aligned: resize S to C's size before it is normalised, as published training does; inference
            normalises first. No difference for MiT
        """
        shallow = self.shallow(image)
        common = unit(self.bottleneck(self.deep(shallow)))
        return Features(common, unit(resize(shallow, tuple(common.shape[2:])) if aligned else shallow))

    def fuse(self, common: Tensor, shallow: Tensor, is_keyframe: bool) -> Tensor:
        """Return the fused feature F of unit length, (B, common, h, w), from C and norm(S)."""
        shallow = resize(shallow, tuple(common.shape[2:]))
        if self.config.shallow_on not in (
            "all",
            "key" if is_keyframe else "nonkey",
        ):  # ablations of the paper's table 3
            shallow = torch.zeros_like(shallow)
        return unit(self.ffm(common, shallow, self.published_order))

    def keyframe(self, image: Tensor) -> Tensor:
        """Return the logits (B, classes, h, w) of a keyframe, at C's size."""
        own = self.features(image)
        return self.head(self.fuse(own.common, own.shallow, is_keyframe=True))

    def nonkey(self, image: Tensor, previous: Tensor | None, following: Tensor | None = None) -> Tensor:
        """Return the logits of a non-key frame from its keyframes' common features: causal with one,
        two-sided with both.

        Upsampling is linear, so the two-sided sum is computed here, at C's size.
        """
        commons = [common for common in (previous, following) if common is not None]
        if not commons:
            raise ValueError("a non-key frame needs the common feature of at least one keyframe")
        shallow = unit(self.shallow(image))
        logits = self.head(self.fuse(commons[0], shallow, is_keyframe=False))
        for common in commons[1:]:
            logits = logits + self.head(self.fuse(common, shallow, is_keyframe=False))
        return logits

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits of a keyframe at input resolution, (B, classes, H, W)."""
        return resize(self.keyframe(image), tuple(image.shape[2:]))
