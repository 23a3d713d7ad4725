# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Partition of the deep path into slices, between which it yields to frames.

Slices are chosen by operation counts, not by measured time: the same model and size always gives the same
slices, and therefore the same masks in bf16, where results depend on where values are rounded.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcfm_ros.model.cost import Cost, counted
from dcfm_ros.model.fusion import FoldedFusion
from dcfm_ros.model.inference import Classification, Contribution, DeepPath, InferenceModel, unit_length

SHARE = 0.7  # maximum work of a slice relative to a frame's own work, as far as single steps are that small
# Time per multiply-accumulate relative to a backbone's layers, measured with OpenVINO.
_ATTENTION = 3.0  # because of the softmax
_CONCLUSION = 1.5  # because of memory: the common contribution is the largest array


class Slice(NamedTuple):
    """Consecutive steps of a stage, with an example input."""

    module: nn.Sequential
    feature: Tensor


class Plan(NamedTuple):
    """Partition of a model's deep path for images of one size. The conclusion is the fusion of the stages'
    outputs with the contribution."""

    stages: list[list[Slice]]
    outputs: list[Tensor]  # of the stages, (1, C, h, w): inputs of the conclusion
    bands: list[Band]  # of the conclusion, from the top; empty if it is one slice
    shallow: Tensor
    common: Tensor


@torch.no_grad()
def plan(parts: InferenceModel, image: Tensor, share: float = SHARE) -> Plan:
    """Partition the deep path. image: (1, H, W, 3) uint8; share: maximum work of a slice relative to a
    frame's own work"""
    frame, shallow = counted(parts.shallow, image)
    feature, outputs = shallow, []
    costs: list[list[float]] = []
    inputs: list[list[Tensor]] = []
    for stage in parts.deep.steps_of_stages():
        costs.append([])
        inputs.append([])
        for step in stage:
            inputs[-1].append(feature)
            cost, feature = counted(step, feature)
            costs[-1].append(_work(cost))
        outputs.append(feature)
    conclusion, common = counted(lambda: parts.deep.contribution(parts.deep.fusion(*outputs)))
    decoder, _ = counted(parts.decoder, shallow, common)
    most = share * _work(frame + decoder)
    stages = [_group_steps(*stage, most) for stage in zip(parts.deep.steps_of_stages(), costs, inputs)]
    return Plan(
        stages,
        outputs,
        _bands(parts.deep, outputs, math.ceil(_CONCLUSION * _work(conclusion) / most)),
        shallow,
        common,
    )


def _work(cost: Cost) -> float:
    return cost.layers + _ATTENTION * cost.attention


def _group_steps(
    steps: list[nn.Module], costs: list[float], inputs: list[Tensor], most: float
) -> list[Slice]:
    """Group steps into as few slices as possible, each with at most `most` work or a single step."""
    first, slices = 0, []
    for at in range(1, len(steps) + 1):
        if at == len(steps) or sum(costs[first : at + 1]) > most:
            slices.append(Slice(nn.Sequential(*steps[first:at]), inputs[first]))
            first = at
    return slices


class Band(nn.Module):
    """A band of rows of the conclusion (SegFormer's fusion and the contribution), which needs a few rows of
    each stage's output.

    Coarse features are interpolated horizontally. One matrix product with the weights of bilinear
    interpolation then computes and sums the band's rows of all of them; cutting out rows after interpolation
    takes twice as long.
    """

    def __init__(self, deep: DeepPath, heights: list[int], rows: tuple[int, int]):
        """heights: of the stages' outputs; rows: first row of the band and the one after the last"""
        super().__init__()
        assert isinstance(deep.fusion, FoldedFusion)
        self.rows = rows
        weights = [_row_weights(height, heights[0])[slice(*rows)] for height in heights[1:]]
        spans = [_span(weight) for weight in weights]
        self.input_rows = [rows, *spans]  # rows of each stage's output
        self.vertical = nn.Parameter(
            torch.cat([weight[:, slice(*span)] for weight, span in zip(weights, spans)], dim=1)
        )
        self.first = nn.ModuleList(_channels_last_layer(layer) for layer in deep.fusion.first)
        self.weights = nn.ParameterList(weight[:, :, 0, 0].clone() for weight in deep.fusion.weights)
        self.bias, self.contribution = deep.fusion.bias, _channels_last_form(deep.contribution)

    def forward(self, *features: Tensor) -> Tensor:
        """Compute (1, rows, W, common) from the needed rows of each stage's output, (1, rows, w, C)."""
        width, widened = features[0].shape[2], []
        features = tuple(layer(feature) for layer, feature in zip(self.first, features))
        for feature, weight in zip(features[1:], list(self.weights)[1:]):
            small = F.linear(feature, weight).permute(0, 3, 1, 2)
            wide = F.interpolate(small, size=(feature.shape[1], width), mode="bilinear", align_corners=False)
            widened.append(wide.permute(0, 2, 3, 1)[0].flatten(1))
        mixed = (self.vertical @ torch.cat(widened)).unflatten(1, (width, -1))
        deep = F.relu(F.linear(features[0], self.weights[0], self.bias) + mixed)
        return self.contribution(deep)


class UnitLength(nn.Module):
    """Normalises a feature (..., C) to unit length."""

    def forward(self, feature: Tensor) -> Tensor:
        return unit_length(feature, dim=-1)


def _channels_last_form(contribution: Contribution | Classification) -> nn.Module:
    """Return the contribution as a module for (..., C). Convolutions would transpose features back and
    forth."""
    if isinstance(contribution, Classification):
        return _linear(contribution.classifier.weight, contribution.classifier.bias)
    bottleneck = contribution.bottleneck
    first = [_linear(bottleneck.weight, None)] if isinstance(bottleneck, nn.Conv2d) else []
    return nn.Sequential(*first, UnitLength(), _linear(contribution.weight, contribution.bias))


def _channels_last_layer(layer: nn.Module) -> nn.Module:
    """Return what a stage passes first in the fusion, nothing or a convolution with ReLU, for (..., C)."""
    if not isinstance(layer, nn.Sequential):
        return layer
    conv = layer[0]
    assert isinstance(conv, nn.Conv2d)
    return nn.Sequential(_linear(conv.weight, conv.bias), nn.ReLU())


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    """Return a 1x1 convolution as a linear layer."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")  # no random initialisation
    layer.weight = nn.Parameter(weight[:, :, 0, 0].clone())
    layer.register_parameter("bias", None if bias is None else nn.Parameter(bias, requires_grad=False))
    return layer


def _bands(deep: DeepPath, outputs: list[Tensor], number: int) -> list[Band]:
    heights = [output.shape[2] for output in outputs]
    number = min(number, heights[0])
    if number <= 1 or not isinstance(deep.fusion, FoldedFusion):
        return []
    edges = [round(heights[0] * at / number) for at in range(number + 1)]
    return [Band(deep, heights, rows) for rows in zip(edges, edges[1:])]


def _row_weights(height: int, wanted: int) -> Tensor:
    """Return the weights (wanted, height) of bilinear interpolation from `height` rows to `wanted`."""
    return F.interpolate(
        torch.eye(height)[None, None], size=(wanted, height), mode="bilinear", align_corners=False
    )[0, 0]


def _span(weights: Tensor) -> tuple[int, int]:
    """Return the first column that is not all zero, and the one after the last."""
    used = weights.any(0).nonzero()
    return int(used[0]), int(used[-1]) + 1
