# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Creates backbones: an encoder, split into a shallow and a deep part, and the fusion of its stages to the
deep feature."""

from __future__ import annotations

from dcfm_ros.model.backbone_specs import EFFICIENTNET_SPECS, MIT_SPECS, RESNET_SPECS
from dcfm_ros.model.chain import ChainEncoder
from dcfm_ros.model.config import ModelConfig
from dcfm_ros.model.efficientnet import EfficientNetLite
from dcfm_ros.model.fusion import SegFormerFusion
from dcfm_ros.model.mit import MixTransformer
from dcfm_ros.model.pyramid import LastStage, PyramidPooling
from dcfm_ros.model.resnet import DilatedResNet
from dcfm_ros.model.timm_backbone import TimmEncoder, timm_spec

Encoder = MixTransformer | ChainEncoder | DilatedResNet
Fusion = SegFormerFusion | PyramidPooling | LastStage


def make_backbone(config: ModelConfig) -> tuple[Encoder, Fusion]:
    """Return (encoder, fusion) with random weights.

    `encoder.shallow(image)` returns S, `encoder.deep(S)` the features of the later stages, `fusion(features,
    published_order)` the deep feature D. For inference, `encoder.without_deep()` and `encoder.deep_stages()`
    return the two parts as separate modules, and `fusion.folded_form()` a module that takes the stages'
    features.
    """
    if config.fuses_stages:
        encoder: MixTransformer | TimmEncoder | EfficientNetLite
        if config.is_mit:
            encoder = MixTransformer(
                MIT_SPECS[config.backbone], config.block_eps, config.inner_eps, config.drop_path
            )
        elif config.is_timm:
            encoder = TimmEncoder(timm_spec(config.backbone))
        else:
            encoder = EfficientNetLite(EFFICIENTNET_SPECS[config.backbone], config.drop_path)
        return encoder, SegFormerFusion(
            encoder.spec.widths, config.embed, config.dropout, activated=config.fusion == "relu"
        )
    spec = RESNET_SPECS[config.backbone]
    return DilatedResNet(spec), PyramidPooling(spec.widths[-1]) if spec.pyramid else LastStage()
