# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Encoders that are one chain of blocks, cut where it reaches strides 4, 8, 16 and 32."""

from __future__ import annotations

from copy import deepcopy
from itertools import pairwise

from torch import Tensor, nn


class ChainEncoder(nn.Module):
    """The shallow tap of DCFM is the end of the blocks at stride 4; `deep` goes on from it. A subclass makes
    `blocks`."""

    blocks: nn.Sequential

    def __init__(self, ends: tuple[int, int, int, int]):
        super().__init__()
        self.ends = ends  # numbers of blocks up to each stride

    def before(self, image: Tensor) -> Tensor:
        """What comes before the blocks: nothing."""
        return image

    def shallow(self, image: Tensor) -> Tensor:
        """Normalised image (B, 3, H, W) to the independent feature S (B, C_s, H/4, W/4)."""
        return self.blocks[: self.ends[0]](self.before(image))

    def deep(self, shallow: Tensor) -> list[Tensor]:
        """Shallow feature to the features at strides 4 (itself), 8, 16 and 32."""
        features = [shallow]
        for first, last in pairwise(self.ends):
            features.append(self.blocks[first:last](features[-1]))
        return features

    def without_deep(self) -> ChainEncoder:
        """A copy that can do no more than `shallow`."""
        shallow = deepcopy(self)
        shallow.blocks = shallow.blocks[: self.ends[0]]
        return shallow

    def deep_stages(self) -> nn.ModuleList:
        """Copies of what `deep` runs from one feature to the next, each a sequence of steps: its blocks; to
        the first, none."""
        return nn.ModuleList(
            [nn.Sequential(), *(deepcopy(self.blocks[first:last]) for first, last in pairwise(self.ends))]
        )
