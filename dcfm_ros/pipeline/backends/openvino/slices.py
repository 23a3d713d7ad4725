# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How the deep path is cut into slices, between which it gives way to frames.

Slices are cut by their arithmetic, not by a stopwatch: the same model and size always gives the same slices,
and so in bf16, where results depend on where values are rounded, the same masks.
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

SHARE = 0.7  # of a frame's own work: the most that a slice has, as far as steps are that small
# How much longer than in a backbone's layers a multiply-accumulate takes, as measured with OpenVINO.
_ATTENTION = 3.0  # softmax
_CONCLUSION = 1.5  # memory: the common contribution is the greatest array of all


class Slice(NamedTuple):
    """Consecutive steps, and what they get: an example."""

    module: nn.Sequential
    feature: Tensor


class Plan(NamedTuple):
    """The deep path of a model for images of one size."""

    stages: list[list[Slice]]
    outputs: list[Tensor]  # of the stages, (1, C, h, w): what the conclusion gets
    bands: list[Band]  # of the conclusion, from the top; none where it is to be one slice
    shallow: Tensor
    common: Tensor


@torch.no_grad()
def plan(parts: InferenceModel, image: Tensor, share: float = SHARE) -> Plan:
    """Cut the deep path. image: (1, H, W, 3) uint8; share: of a frame's own work, the most of a slice."""
    frame, shallow = counted(parts.shallow, image)
    feature, costs, inputs, outputs = shallow, [], [], []
    for stage in parts.deep.stages:
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
    stages = [_gathered(*stage, most) for stage in zip(parts.deep.stages, costs, inputs)]
    return Plan(
        stages,
        outputs,
        _bands(parts.deep, outputs, math.ceil(_CONCLUSION * _work(conclusion) / most)),
        shallow,
        common,
    )


def _work(cost: Cost) -> float:
    return cost.layers + _ATTENTION * cost.attention


def _gathered(steps: nn.Sequential, costs: list[float], inputs: list[Tensor], most: float) -> list[Slice]:
    """Steps as few slices, each of at most `most` or of one step."""
    first, slices = 0, []
    for at in range(1, len(steps) + 1):
        if at == len(steps) or sum(costs[first : at + 1]) > most:
            slices.append(Slice(nn.Sequential(*steps[first:at]), inputs[first]))
            first = at
    return slices


class Band(nn.Module):
    """Some rows of the conclusion, SegFormer's fusion and the contribution: each needs a few rows of every
    stage's output.

    Coarse features are widened by interpolation. One matrix product, whose weights are those of bilinear
    interpolation, then makes the band's rows of all of them and sums them up: to cut out rows after
    interpolation takes twice as long.
    """

    def __init__(self, deep: DeepPath, heights: list[int], rows: tuple[int, int]):
        """heights: of the stages' outputs; rows: of the band, the first and the one after the last."""
        super().__init__()
        self.rows = rows
        weights = [_row_weights(height, heights[0])[slice(*rows)] for height in heights[1:]]
        spans = [_span(weight) for weight in weights]
        self.needs = [rows, *spans]  # rows of each stage's output
        self.vertical = nn.Parameter(
            torch.cat([weight[:, slice(*span)] for weight, span in zip(weights, spans)], dim=1)
        )
        self.weights = nn.ParameterList(weight[:, :, 0, 0].clone() for weight in deep.fusion.weights)
        self.bias, self.contribution = deep.fusion.bias, _channels_last_form(deep.contribution)

    def forward(self, *features: Tensor) -> Tensor:
        """The needed rows of each stage's output, (1, rows, w, C), to (1, rows, W, common)."""
        width, widened = features[0].shape[2], []
        for feature, weight in zip(features[1:], list(self.weights)[1:]):
            small = F.linear(feature, weight).permute(0, 3, 1, 2)
            wide = F.interpolate(small, size=(feature.shape[1], width), mode="bilinear", align_corners=False)
            widened.append(wide.permute(0, 2, 3, 1)[0].flatten(1))
        mixed = (self.vertical @ torch.cat(widened)).unflatten(1, (width, -1))
        deep = F.relu(F.linear(features[0], self.weights[0], self.bias) + mixed)
        return self.contribution(deep)


class UnitLength(nn.Module):
    """A feature (..., C) divided by its length."""

    def forward(self, feature: Tensor) -> Tensor:
        return unit_length(feature, dim=-1)


def _channels_last_form(contribution: Contribution | Classification) -> nn.Module:
    """The same for (..., C). Convolutions there would turn features over and back."""
    if isinstance(contribution, Classification):
        return _linear(contribution.classifier.weight, contribution.classifier.bias)
    bottleneck = contribution.bottleneck
    first = [_linear(bottleneck.weight, None)] if isinstance(bottleneck, nn.Conv2d) else []
    return nn.Sequential(*first, UnitLength(), _linear(contribution.weight, contribution.bias))


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    """A 1x1 convolution as a layer on channels."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")  # draws no random weights
    layer.weight = nn.Parameter(weight[:, :, 0, 0].clone())
    layer.bias = bias
    return layer


def _bands(deep: DeepPath, outputs: list[Tensor], number: int) -> list[Band]:
    heights = [output.shape[2] for output in outputs]
    number = min(number, heights[0])
    if number <= 1 or not isinstance(deep.fusion, FoldedFusion):
        return []
    edges = [round(heights[0] * at / number) for at in range(number + 1)]
    return [Band(deep, heights, rows) for rows in zip(edges, edges[1:])]


def _row_weights(height: int, wanted: int) -> Tensor:
    """(wanted, height): what each row, interpolated, has of each."""
    return F.interpolate(
        torch.eye(height)[None, None], size=(wanted, height), mode="bilinear", align_corners=False
    )[0, 0]


def _span(weights: Tensor) -> tuple[int, int]:
    """Columns that are not all zero: the first, and the one after the last."""
    used = weights.any(0).nonzero()
    return int(used[0]), int(used[-1]) + 1
