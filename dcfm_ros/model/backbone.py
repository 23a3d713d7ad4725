# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A backbone is an encoder, cut into a shallow and a deep part, and what makes one deep feature of its
stages."""

from __future__ import annotations

from torch import nn

from dcfm_ros.model.config import ModelConfig
from dcfm_ros.model.efficientnet import EFFICIENTNET_SPECS, EfficientNetLite
from dcfm_ros.model.fusion import SegFormerFusion
from dcfm_ros.model.mit import MIT_SPECS, MixTransformer
from dcfm_ros.model.pyramid import LastStage, PyramidPooling
from dcfm_ros.model.resnet import RESNET_SPECS, DilatedResNet
from dcfm_ros.model.timm_backbone import TimmEncoder, timm_spec


def make_backbone(config: ModelConfig) -> tuple[nn.Module, nn.Module]:
    """(encoder, fusion) with fresh weights.

    `encoder.shallow(image)` gives S, `encoder.deep(S)` the features of the later stages, `fusion(features,
    published_order)` the deep feature D. For running, `encoder.without_deep()` and `encoder.deep_stages()`
    give the two parts as modules of their own, and `fusion.folded_form()` a module of the stages' features.
    """
    if config.fuses_stages:
        if config.is_mit:
            encoder = MixTransformer(
                MIT_SPECS[config.backbone], config.block_eps, config.inner_eps, config.drop_path
            )
        elif config.is_timm:
            encoder = TimmEncoder(timm_spec(config.backbone))
        else:
            encoder = EfficientNetLite(EFFICIENTNET_SPECS[config.backbone], config.drop_path)
        return encoder, SegFormerFusion(encoder.spec.widths, config.embed, config.dropout)
    spec = RESNET_SPECS[config.backbone]
    return DilatedResNet(spec), PyramidPooling(spec.widths[-1]) if spec.pyramid else LastStage()
