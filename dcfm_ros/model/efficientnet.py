# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""EfficientNet-Lite encoders (Lite0 ... Lite4, Google 2020; Tan and Le 2019), split into a shallow and a deep
part.

EfficientNet without squeeze-and-excitation and with ReLU6 instead of swish: only convolutions, for which
every runtime and accelerator has fast, quantisable kernels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcfm_ros.model.backbone_specs import EfficientNetSpec
from dcfm_ros.model.chain import ChainEncoder
from dcfm_ros.model.drop_path import drop_path

NORM_EPS = 1e-3
STEM = 32  # channels, for every width multiplier


class EfficientNetLite(ChainEncoder):
    """The encoder up to its last stage; the published classifier and the convolution before it are omitted.
    The shallow tap is the end of stage 2."""

    def __init__(self, spec: EfficientNetSpec, drop_path: float = 0.0):
        super().__init__(spec.ends)
        self.spec = spec
        self.stem = ConvNorm(3, STEM, 3, 2)
        shapes = [(stage, place) for stage in spec.stages for place in range(stage.depth)]
        self.blocks, channels = nn.Sequential(), STEM
        for number, (stage, place) in enumerate(shapes):
            self.blocks.append(
                InvertedResidual(
                    channels,
                    stage.channels,
                    stage.kernel,
                    stage.stride if place == 0 else 1,
                    stage.expansion,
                    drop_path * number / len(shapes),
                )
            )
            channels = stage.channels

    def before(self, image: Tensor) -> Tensor:
        return F.relu6(self.stem(image))


class InvertedResidual(nn.Module):
    """Expanding 1x1 convolution, depth-wise convolution, projecting 1x1 convolution without ReLU6; added to
    its input if the sizes agree."""

    def __init__(
        self,
        in_channels: int,
        channels: int,
        kernel: int,
        stride: int,
        expansion: int,
        drop_path: float = 0.0,
    ):
        super().__init__()
        inner = in_channels * expansion
        self.expand = ConvNorm(in_channels, inner, 1) if expansion > 1 else None
        self.depthwise = ConvNorm(inner, inner, kernel, stride, groups=inner)
        self.project = ConvNorm(inner, channels, 1)
        self.is_residual = stride == 1 and in_channels == channels
        self.drop_path = drop_path

    def forward(self, feature: Tensor) -> Tensor:
        mixed = feature if self.expand is None else F.relu6(self.expand(feature))
        mixed = self.project(F.relu6(self.depthwise(mixed)))
        return feature + drop_path(mixed, self.drop_path, self.training) if self.is_residual else mixed


class ConvNorm(nn.Module):
    """Bias-free convolution and batch norm. Pads like TensorFlow's SAME: if the total is odd, as for stride 2
    on an even input, the extra row or column is at the end."""

    def __init__(self, in_channels: int, channels: int, kernel: int, stride: int = 1, groups: int = 1):
        super().__init__()
        padding = kernel // 2 if stride == 1 else 0
        self.conv = nn.Conv2d(in_channels, channels, kernel, stride, padding, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(channels, eps=NORM_EPS)

    def forward(self, feature: Tensor) -> Tensor:
        if self.conv.stride[0] == 2:
            rows, columns = (self.conv.kernel_size[0] - 2 + size % 2 for size in feature.shape[2:])
            feature = F.pad(feature, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))
        if feature.dtype == torch.bfloat16 and self.training and self.conv.groups > 1 and not feature.is_cuda:
            with torch.autocast(
                "cpu", enabled=False
            ):  # oneDNN's bfloat16 gradients of depth-wise convolutions are slow
                return self.norm(self.conv(feature.float())).to(feature.dtype)
        return self.norm(self.conv(feature))
