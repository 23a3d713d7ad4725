# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Encoders that are a single chain of blocks, split where it reaches strides 4, 8, 16 and 32."""

from __future__ import annotations

from copy import deepcopy
from itertools import pairwise

from torch import Tensor, nn


class ChainEncoder(nn.Module):
    """The shallow tap of DCFM is the end of the blocks at stride 4; `deep` continues from there. Subclasses
    create `blocks`."""

    blocks: nn.Sequential

    def __init__(self, ends: tuple[int, ...]):
        super().__init__()
        self.ends = ends  # number of blocks up to each stride

    def before(self, image: Tensor) -> Tensor:
        """Layers before the blocks: none by default."""
        return image

    def shallow(self, image: Tensor) -> Tensor:
        """Map the normalised image (B, 3, H, W) to the independent feature S (B, C_s, H/4, W/4)."""
        return self.blocks[: self.ends[0]](self.before(image))

    def deep(self, shallow: Tensor) -> list[Tensor]:
        """Map the shallow feature to the features at strides 4 (the input itself), 8, 16 and 32."""
        features = [shallow]
        for first, last in pairwise(self.ends):
            features.append(self.blocks[first:last](features[-1]))
        return features

    def without_deep(self) -> ChainEncoder:
        """Return a copy that only supports `shallow`."""
        shallow = deepcopy(self)
        shallow.blocks = nn.Sequential(*list(shallow.blocks)[: self.ends[0]])
        return shallow

    def deep_stages(self) -> nn.ModuleList:
        """Return copies of the modules between successive features of `deep`, each a sequence of blocks; the
        first is empty."""
        return nn.ModuleList(
            [nn.Sequential(), *(deepcopy(self.blocks[first:last]) for first, last in pairwise(self.ends))]
        )
