# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A network that segments every frame independently: backbone and classifier. With a MiT backbone this is
SegFormer.

The baseline for DCFM, and a possible starting point for its training.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from dcfm_ros.model.backbone import make_backbone
from dcfm_ros.model.config import ModelConfig
from dcfm_ros.model.fusion import resize


class PerFrame(nn.Module):
    """The network in training form. Images are RGB, normalised by `dcfm_ros.model.image`, (B, 3, H, W)
    float."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.folder: Path | None = None  # folder it was loaded from
        self.encoder, self.fusion = make_backbone(config)
        # SegFormer's fusion has its own
        self.dropout = nn.Dropout2d(0.0 if config.fuses_stages else config.dropout)
        self.classifier = nn.Conv2d(config.deep_channels, len(config.classes), 1)
        self.published_order = False  # True: the published order of operations, for reference

    def keyframe(self, image: Tensor) -> Tensor:
        """Return the logits (B, classes, h, w); named as in DCFM, whose keyframes cost the same."""
        deep = self.fusion(self.encoder.deep(self.encoder.shallow(image)), self.published_order)
        return self.classifier(self.dropout(deep))

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits at input resolution, (B, classes, H, W)."""
        return resize(self.keyframe(image), tuple(image.shape[2:]))
