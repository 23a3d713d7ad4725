# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""EfficientNet-Lite encoders (Lite0 ... Lite4, Google 2020; Tan and Le 2019), cut into a shallow and a deep
part.

EfficientNet without squeeze-and-excitation and with ReLU6 in place of swish: nothing but convolutions, for
which every runtime and every accelerator has fast, quantisable kernels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcfm_ros.model.chain import ChainEncoder
from dcfm_ros.model.drop_path import drop_path

NORM_EPS = 1e-3
STEM = 32  # channels, at any width


class Stage(NamedTuple):
    """Inverted residual blocks: the first has the stride, all have the kernel, the expansion and the channels
    they end in."""

    depth: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STAGES = (  # of the published table, at width and depth 1
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
TAPS = (2, 3, 5, 7)  # features are taken after so many stages: at strides 4 (the shallow tap), 8, 16 and 32


@dataclass(frozen=True)
class EfficientNetSpec:
    """How many times as wide and as deep as the published table; stem, first and last stage are never
    deeper."""

    width: float
    depth: float

    @property
    def stages(self) -> tuple[Stage, ...]:
        last = len(STAGES) - 1
        return tuple(
            stage._replace(
                channels=_multiple_of_8(stage.channels * self.width),
                depth=stage.depth if number in (0, last) else math.ceil(stage.depth * self.depth),
            )
            for number, stage in enumerate(STAGES)
        )

    @property
    def widths(self) -> tuple[int, int, int, int]:
        """Channels at strides 4, 8, 16 and 32."""
        return tuple(self.stages[last - 1].channels for last in TAPS)

    @property
    def ends(self) -> tuple[int, int, int, int]:
        """Numbers of blocks up to strides 4, 8, 16 and 32."""
        depths = [stage.depth for stage in self.stages]
        return tuple(sum(depths[:last]) for last in TAPS)

    @property
    def shallow_channels(self) -> int:
        return self.widths[0]


EFFICIENTNET_SPECS = {
    "efficientnet_lite0": EfficientNetSpec(1.0, 1.0),
    "efficientnet_lite1": EfficientNetSpec(1.0, 1.1),
    "efficientnet_lite2": EfficientNetSpec(1.1, 1.2),
    "efficientnet_lite3": EfficientNetSpec(1.2, 1.4),
    "efficientnet_lite4": EfficientNetSpec(1.4, 1.8),
}


def _multiple_of_8(channels: float) -> int:
    """The nearest, or the one above where that takes more than a tenth away."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * channels else nearest + 8


class EfficientNetLite(ChainEncoder):
    """The encoder up to its last stage; the published classifier and the convolution before it are left out.
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
    """1x1 convolution that widens, depth-wise convolution, 1x1 convolution that narrows, without ReLU6; added
    to its input where the sizes agree."""

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
    """Bias-free convolution, batch norm. Zeros are added around the input as TensorFlow's SAME padding does:
    of an odd number of rows or columns, which stride 2 needs of an even input, one more at the end."""

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
            ):  # oneDNN is slow at bfloat16 gradients of depth-wise convolutions
                return self.norm(self.conv(feature.float())).to(feature.dtype)
        return self.norm(self.conv(feature))
