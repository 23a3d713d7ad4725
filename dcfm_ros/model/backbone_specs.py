# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The backbones' published tables. Without PyTorch, which a node that reads a model's configuration may do
without."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

PREFIX = "timm/"  # of the names of timm's networks


@dataclass(frozen=True)
class MiTSpec:
    """One row of the published table: blocks and channels per stage."""

    depths: tuple[int, int, int, int]
    widths: tuple[int, int, int, int]
    heads: tuple[int, int, int, int] = (1, 2, 5, 8)
    reductions: tuple[int, int, int, int] = (8, 4, 2, 1)

    @property
    def shallow_channels(self) -> int:
        return self.widths[0]


MIT_SPECS = {
    "mit_b0": MiTSpec((2, 2, 2, 2), (32, 64, 160, 256)),
    "mit_b1": MiTSpec((2, 2, 2, 2), (64, 128, 320, 512)),
    "mit_b2": MiTSpec((3, 4, 6, 3), (64, 128, 320, 512)),
    "mit_b3": MiTSpec((3, 4, 18, 3), (64, 128, 320, 512)),
    "mit_b4": MiTSpec((3, 8, 27, 3), (64, 128, 320, 512)),
    "mit_b5": MiTSpec((3, 6, 40, 3), (64, 128, 320, 512)),
}


class Stage(NamedTuple):
    """Inverted residual blocks: the first has the stride; all have the kernel, expansion and output
    channels."""

    depth: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STAGES = (  # the published table, for width and depth 1
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
TAPS = (2, 3, 5, 7)  # stages before each feature: strides 4 (the shallow tap), 8, 16 and 32


@dataclass(frozen=True)
class EfficientNetSpec:
    """Width and depth multipliers of the published table; stem, first and last stage are never deepened."""

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
    def widths(self) -> tuple[int, ...]:
        """Channels at strides 4, 8, 16 and 32."""
        return tuple(self.stages[last - 1].channels for last in TAPS)

    @property
    def ends(self) -> tuple[int, ...]:
        """Number of blocks up to strides 4, 8, 16 and 32."""
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
    """Round to the nearest multiple of 8, or up if rounding down loses more than a tenth."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * channels else nearest + 8


@dataclass(frozen=True)
class ResNetSpec:
    """Blocks per stage and channels after each stage; `pyramid`: whether pyramid pooling (PSPNet) is used."""

    depths: tuple[int, int, int, int]
    bottleneck: bool
    pyramid: bool

    @property
    def widths(self) -> tuple[int, int, int, int]:
        return (256, 512, 1024, 2048) if self.bottleneck else (64, 128, 256, 512)

    @property
    def shallow_channels(self) -> int:
        return self.widths[0]

    @property
    def deep_channels(self) -> int:
        return self.widths[-1] * (2 if self.pyramid else 1)


RESNET_SPECS = {
    "resnet18": ResNetSpec((2, 2, 2, 2), bottleneck=False, pyramid=False),
    "resnet50": ResNetSpec((3, 4, 6, 3), bottleneck=True, pyramid=False),
    "resnet101": ResNetSpec((3, 4, 23, 3), bottleneck=True, pyramid=False),
    "pspnet18": ResNetSpec((2, 2, 2, 2), bottleneck=False, pyramid=True),
    "pspnet50": ResNetSpec((3, 4, 6, 3), bottleneck=True, pyramid=True),
    "pspnet101": ResNetSpec((3, 4, 23, 3), bottleneck=True, pyramid=True),
}


def encoder_name(backbone: str) -> str:
    """Return the backbone that has the same encoder, but no pyramid pooling; the same name for all others."""
    return backbone.replace("pspnet", "resnet") if backbone in RESNET_SPECS else backbone
