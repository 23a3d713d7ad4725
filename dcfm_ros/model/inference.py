# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The inference form of a model: three parts with all constants folded in. Exact rewrites of the training
form.

- `ShallowPath`: image to the independent feature S. Every frame.
- `DeepPath`: S to the common contribution W_c C + b of the fusion, with batch norm folded in. Keyframes. This
  term is constant until the next keyframe, so it is stored instead of C.
- `Decoder`: norm(S) and the common contribution to logits. Every frame; once per keyframe side.

A keyframe's deep path continues from the S that its frame computed anyway. These modules are stateless;
backends run, convert or compile them.
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
from dcfm_ros.model.image import factors
from dcfm_ros.model.per_frame import PerFrame


class InferenceModel(NamedTuple):
    """The three parts, in evaluation mode, sharing no memory with the training form."""

    shallow: ShallowPath
    deep: DeepPath
    decoder: Decoder | GivenLogits


def fold(model: Model) -> InferenceModel:
    """Return the inference form of a trained model; float32, on the model's device."""
    if model.training:
        raise ValueError("fold() needs a model in evaluation mode: call model.eval() first")
    with torch.no_grad(), next(model.parameters()).device:  # new tensors are created on the model's device
        decoder = GivenLogits() if isinstance(model, PerFrame) else Decoder(model)
        parts = InferenceModel(ShallowPath(model), DeepPath(model), decoder)
    for part in parts:
        part.eval().requires_grad_(False)
    return parts


class ShallowPath(nn.Module):
    """Maps (B, H, W, 3) uint8 or float RGB 0..255 to S (B, C_s, H/4, W/4). Includes the image's
    normalisation."""

    mean: Tensor
    scale: Tensor

    def __init__(self, model: Model):
        super().__init__()
        self.encoder = model.encoder.without_deep()
        mean, scale = factors(model.config.normalisation)
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("scale", scale, persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        pixels = (image.to(self.mean.dtype) - self.mean) * self.scale
        return self.encoder.shallow(pixels.permute(0, 3, 1, 2))


class DeepPath(nn.Module):
    """Maps S (B, C_s, H/4, W/4) to the common contribution (B, common, h, w).

    Its parts can be run one at a time, with other work in between: `stages` one after the other, each a
    sequence of steps, then `fusion` of all their outputs (both together: `feature`), then `contribution`.
    """

    def __init__(self, model: Model):
        super().__init__()
        self.stages = model.encoder.deep_stages()
        self.fusion = model.fusion.folded_form()
        self.contribution = Classification(model) if isinstance(model, PerFrame) else Contribution(model)

    def steps_of_stages(self) -> list[list[nn.Module]]:
        """The steps of each stage, for those who have something to do in between."""
        return [[*stage.children()] for stage in self.stages]

    def outputs(self, shallow: Tensor) -> list[Tensor]:
        """Map S to the outputs of the stages."""
        features = [shallow]
        for stage in self.stages:
            features.append(stage(features[-1]))
        return features[1:]

    def feature(self, shallow: Tensor) -> Tensor:
        """Map S to the deep feature D (B, deep, h, w)."""
        return self.fusion(*self.outputs(shallow))

    def forward(self, shallow: Tensor) -> Tensor:
        return self.contribution(self.feature(shallow))


class Contribution(nn.Module):
    """Maps the deep feature D to W_c C + b, with batch norm folded in."""

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
    """Maps the deep feature D of a per-frame network to its logits, which take the place of DCFM's common
    contribution."""

    def __init__(self, model: PerFrame):
        super().__init__()
        self.classifier = deepcopy(model.classifier)

    def forward(self, deep: Tensor) -> Tensor:
        return self.classifier(deep).float()


class GivenLogits(nn.Module):
    """The decoder of a per-frame network: returns the logits unchanged and ignores S."""

    def forward(self, shallow: Tensor, common: Tensor) -> Tensor:
        return common


class Decoder(nn.Module):
    """Maps S and the common contribution to logits (B, classes, h, w) at the common contribution's size."""

    def __init__(self, model: DCFM):
        super().__init__()
        self.used = model.config.shallow_used
        weight, _ = _fold_norm(model.ffm.conv.weight, model.ffm.conv.bias, model.ffm.norm)
        self.weight = nn.Parameter(weight[:, model.config.common_channels :].clone())
        self.hidden = None
        if isinstance(model.head.hidden, nn.Sequential):
            conv, norm, _ = model.head.hidden
            assert isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
            hidden_weight, hidden_bias = _fold_norm(conv.weight, None, norm)
            self.hidden = nn.Conv2d(conv.in_channels, conv.out_channels, 1)
            self.hidden.load_state_dict({"weight": hidden_weight, "bias": hidden_bias})
        self.classifier = nn.Parameter(model.head.classifier.weight.clone())

    def forward(self, shallow: Tensor, common: Tensor) -> Tensor:
        return self.classify(self.fuse(shallow, common))

    def fuse(self, shallow: Tensor, common: Tensor) -> Tensor:
        """Return the fused feature before normalisation, (B, common, h, w)."""
        independent = unit_length(shallow)[:, : self.used]
        # before the convolution, as there are fewer channels; halves the size for ResNet
        independent = resize(independent, (common.shape[2], common.shape[3]))
        return F.relu(common + F.conv2d(independent, self.weight))

    def classify(self, fused: Tensor) -> Tensor:
        """Return the logits of the fused feature, float32."""
        if self.hidden is not None:
            return F.conv2d(F.relu(self.hidden(unit_length(fused))), self.classifier).float()
        length = torch.linalg.vector_norm(fused.float(), dim=1, keepdim=True).clamp_min(1e-12)
        # scaling the few logits is cheaper than scaling the feature
        return F.conv2d(fused, self.classifier).float() / length


def unit_length(feature: Tensor, dim: int = 1) -> Tensor:
    """Divide a feature by its length over the channels along `dim`, in its own precision.

    The length is computed in float32: in float16 a sum of squares overflows, and eps underflows.
    """
    return F.normalize(feature.float(), dim=dim, eps=1e-12).to(feature.dtype)


def _fold_norm(weight: Tensor, bias: Tensor | None, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return the weight and bias of a convolution that equals this convolution followed by the batch norm."""
    # all norms in this package track them
    assert norm.running_mean is not None and norm.running_var is not None
    if bias is None:
        bias = torch.zeros_like(norm.bias)
    gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return weight * gain[:, None, None, None], (bias - norm.running_mean) * gain + norm.bias
