# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The model as it runs: three parts with everything constant folded in. Exact rewrites of the training form.

- `ShallowPath`: image to independent feature S. Every frame.
- `DeepPath`: S to the common contribution W_c C + b of the fusion, batch norm folded in. Keyframes. The term
  is constant until the next keyframe, so it is what is kept, instead of C.
- `Decoder`: norm(S) and the common contribution to logits. Every frame; once per keyframe side.

A keyframe's deep path goes on from the S its frame computed anyway. Nothing here has state; backends run,
convert or compile these modules.
"""

from __future__ import annotations

from copy import deepcopy
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcfm_ros.model.build import Model
from dcfm_ros.model.dcfm import DCFM
from dcfm_ros.model.fusion import resize
from dcfm_ros.model.per_frame import PerFrame


class InferenceModel(NamedTuple):
    """The three parts, in evaluation mode, sharing no memory with the training form."""

    shallow: ShallowPath
    deep: DeepPath
    decoder: Decoder | GivenLogits


def fold(model: Model) -> InferenceModel:
    """Fold a trained model for running; float32, on the model's device."""
    if model.training:
        raise ValueError("fold() needs a model in evaluation mode: call model.eval() first")
    with torch.no_grad(), next(model.parameters()).device:  # what is made here is made there
        decoder = GivenLogits() if isinstance(model, PerFrame) else Decoder(model)
        parts = InferenceModel(ShallowPath(model), DeepPath(model), decoder)
    for part in parts:
        part.eval().requires_grad_(False)
    return parts


class ShallowPath(nn.Module):
    """(B, H, W, 3) uint8 or float RGB 0..255 to S (B, C_s, H/4, W/4). The image's normalisation is inside."""

    def __init__(self, model: Model):
        super().__init__()
        self.encoder = model.encoder.without_deep()
        mean, scale = model.config.normalisation.factors()
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("scale", scale, persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        pixels = (image.to(self.mean.dtype) - self.mean) * self.scale
        return self.encoder.shallow(pixels.permute(0, 3, 1, 2))


class DeepPath(nn.Module):
    """S (B, C_s, H/4, W/4) to the common contribution (B, common, h, w).

    Its parts can be run one by one, with something else in between: `stages` one after the other, each a
    sequence of steps, then `fusion` of all their outputs (both together: `feature`), then `contribution`.
    """

    def __init__(self, model: Model):
        super().__init__()
        self.stages = model.encoder.deep_stages()
        self.fusion = model.fusion.folded_form()
        self.contribution = Classification(model) if isinstance(model, PerFrame) else Contribution(model)

    def feature(self, shallow: Tensor) -> Tensor:
        """S to the deep feature D (B, deep, h, w)."""
        features = [shallow]
        for stage in self.stages:
            features.append(stage(features[-1]))
        return self.fusion(*features[1:])

    def forward(self, shallow: Tensor) -> Tensor:
        return self.contribution(self.feature(shallow))


class Contribution(nn.Module):
    """Deep feature D to W_c C + b, batch norm folded in."""

    def __init__(self, model: DCFM):
        super().__init__()
        weight, bias = _fold_norm(model.ffm.conv.weight, model.ffm.conv.bias, model.ffm.norm)
        self.bottleneck = deepcopy(model.bottleneck)
        self.weight, self.bias = (
            nn.Parameter(weight[:, : model.config.common_channels].clone()),
            nn.Parameter(bias),
        )

    def forward(self, deep: Tensor) -> Tensor:
        return F.conv2d(unit_length(self.bottleneck(deep)), self.weight, self.bias)


class Classification(nn.Module):
    """Deep feature D of a per-frame network to its logits: they stand where DCFM has its common
    contribution."""

    def __init__(self, model: PerFrame):
        super().__init__()
        self.classifier = deepcopy(model.classifier)

    def forward(self, deep: Tensor) -> Tensor:
        return self.classifier(deep).float()


class GivenLogits(nn.Module):
    """The decoder of a per-frame network: the logits are there already, and S adds nothing."""

    def forward(self, shallow: Tensor, common: Tensor) -> Tensor:
        return common


class Decoder(nn.Module):
    """S and the common contribution to logits (B, classes, h, w) at the common contribution's size."""

    def __init__(self, model: DCFM):
        super().__init__()
        self.used = model.config.shallow_used
        weight, _ = _fold_norm(model.ffm.conv.weight, model.ffm.conv.bias, model.ffm.norm)
        self.weight = nn.Parameter(weight[:, model.config.common_channels :].clone())
        self.hidden = None
        if model.config.head_layers:
            conv, norm = model.head.hidden[0], model.head.hidden[1]
            hidden_weight, hidden_bias = _fold_norm(conv.weight, torch.zeros_like(norm.bias), norm)
            self.hidden = nn.Conv2d(conv.in_channels, conv.out_channels, 1)
            self.hidden.weight.copy_(hidden_weight)
            self.hidden.bias.copy_(hidden_bias)
        self.classifier = nn.Parameter(model.head.classifier.weight.clone())

    def forward(self, shallow: Tensor, common: Tensor) -> Tensor:
        return self.classify(self.fuse(shallow, common))

    def fuse(self, shallow: Tensor, common: Tensor) -> Tensor:
        """The fused feature before it gets unit length, (B, common, h, w)."""
        independent = unit_length(shallow)[:, : self.used]
        independent = resize(
            independent, (common.shape[2], common.shape[3])
        )  # first, as few channels; for ResNet it halves
        return F.relu(common + F.conv2d(independent, self.weight))

    def classify(self, fused: Tensor) -> Tensor:
        """Logits of the fused feature, float32."""
        if self.hidden is not None:
            return F.conv2d(F.relu(self.hidden(unit_length(fused))), self.classifier).float()
        length = torch.linalg.vector_norm(fused.float(), dim=1, keepdim=True).clamp_min(1e-12)
        return (
            F.conv2d(fused, self.classifier).float() / length
        )  # scaling few logits costs less than scaling the feature


def unit_length(feature: Tensor, dim: int = 1) -> Tensor:
    """A feature divided by its length over channels, which lie along `dim`, in its own precision. Computed in
    float32: a sum of squares is too large for float16, and an eps too small."""
    return F.normalize(feature.float(), dim=dim, eps=1e-12).to(feature.dtype)


def _fold_norm(weight: Tensor, bias: Tensor, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Convolution followed by batch norm as one convolution: its weight and bias."""
    gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return weight * gain[:, None, None, None], (bias - norm.running_mean) * gain + norm.bias
