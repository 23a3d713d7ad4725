# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a configuration to a network: every row of the published table."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers import CLASSES, tiny_config

from dcfm_ros.model.backbone import make_backbone
from dcfm_ros.model.backbone_specs import EFFICIENTNET_SPECS, MIT_SPECS, RESNET_SPECS
from dcfm_ros.model.build import build_model
from dcfm_ros.model.config import BACKBONES, ClassSpec, ModelConfig
from dcfm_ros.model.dcfm import DCFM
from dcfm_ros.model.efficientnet import EfficientNetLite
from dcfm_ros.model.fusion import SegFormerFusion
from dcfm_ros.model.mit import MixTransformer
from dcfm_ros.model.per_frame import PerFrame
from dcfm_ros.model.pyramid import LastStage, PyramidPooling
from dcfm_ros.model.resnet import DilatedResNet

TRAIN = Path(__file__).parents[2] / "config" / "train"
PUBLISHED = {  # backbone, shallow channels, deep width, common width, s, head layers, classes, test input
    "vspw_mit_b2": ("mit_b2", 64, 256, 256, 32, 0, 124, (480, 853)),
    "vspw_mit_b5": ("mit_b5", 64, 256, 256, 32, 0, 124, (480, 853)),
    "cityscapes_mit_b1": ("mit_b1", 64, 256, 256, 32, 1, 19, (512, 1024)),
    "cityscapes_pspnet18": ("pspnet18", 64, 1024, 320, 32, 1, 19, (1024, 2048)),
    "cityscapes_pspnet50": ("pspnet50", 256, 4096, 1280, 128, 1, 19, (768, 1536)),
    "cityscapes_pspnet101": ("pspnet101", 256, 4096, 1280, 128, 1, 19, (768, 1536)),
    "camvid_pspnet50": ("pspnet50", 256, 4096, 1280, 128, 1, 11, (720, 960)),
}


def published_config(row: str) -> ModelConfig:
    backbone, _, deep, common, _, head_layers, classes, (height, width) = PUBLISHED[row]
    return ModelConfig(
        backbone=backbone,
        classes=tuple(ClassSpec(f"class {i}", (i, 0, 0)) for i in range(classes)),
        common_width=0 if common == deep else common,
        head_layers=head_layers,
        input_height=height,
        input_width=width,
    )


@pytest.mark.slow
@pytest.mark.parametrize("row", PUBLISHED)
def test_published_rows(row):
    """Down to the sizes of features and logits."""
    config = published_config(row)
    backbone, shallow, deep, common, used, head_layers, classes, (height, width) = PUBLISHED[row]
    assert (
        config.backbone,
        config.shallow_channels,
        config.deep_channels,
        config.common_channels,
        config.shallow_used,
        config.head_layers,
        len(config.classes),
        config.input_height,
        config.input_width,
    ) == (backbone, shallow, deep, common, used, head_layers, classes, height, width)
    with torch.no_grad(), torch.device("meta"):
        model = build_model(config).eval()
        image = torch.empty(1, 3, height, width)
        independent = model.shallow(image)
        feature, own, logits = model.deep(independent), model.features(image), model.keyframe(image)
    stride = 4 if config.is_mit else 8
    grid = (-(-height // stride), -(-width // stride))
    assert independent.shape == own.shallow.shape == (1, shallow, -(-height // 4), -(-width // 4))
    for tensor, channels in ((feature, deep), (own.common, common), (logits, classes)):
        assert tensor.shape == (1, channels, *grid)
    assert isinstance(model.bottleneck, torch.nn.Identity) == config.is_mit
    assert model.ffm.conv.weight.shape == (common, common + used, 1, 1) and model.ffm.conv.bias is not None
    assert isinstance(model.head.hidden, torch.nn.Identity) == (head_layers == 0)
    assert model.head.classifier.bias is None and model.head.dropout.p == 0.1


@pytest.mark.slow
@pytest.mark.parametrize("row", PUBLISHED)
def test_shipped_training_configurations_are_the_published_rows(row):
    """But for the names of the classes, and what is dropped in training."""
    from dcfm_ros.training.config import load_train_config

    shipped, published = load_train_config(TRAIN / f"{row}.yaml").model, published_config(row)
    assert len(shipped.classes) == len(published.classes)
    assert replace(shipped, classes=published.classes, drop_path=published.drop_path) == published


@pytest.mark.slow
@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_has_its_fusion(name):
    with torch.device("meta"):
        encoder, fusion = make_backbone(ModelConfig(backbone=name, classes=CLASSES))
    if name in MIT_SPECS:
        assert (
            type(encoder) is MixTransformer
            and type(fusion) is SegFormerFusion
            and encoder.spec is MIT_SPECS[name]
        )
    elif name in EFFICIENTNET_SPECS:
        assert (
            type(encoder) is EfficientNetLite
            and type(fusion) is SegFormerFusion
            and encoder.spec is EFFICIENTNET_SPECS[name]
        )
    else:
        assert type(encoder) is DilatedResNet and encoder.spec is RESNET_SPECS[name]
        assert type(fusion) is (PyramidPooling if name.startswith("psp") else LastStage)


def test_settings_reach_the_backbone():
    config = tiny_config(embed=48, dropout=0.25, drop_path=0.3, block_eps=1e-5, inner_eps=1e-4)
    encoder, fusion = make_backbone(config)
    assert (fusion.embed, fusion.dropout.p) == (48, 0.25)
    assert (encoder.norm1.eps, encoder.patch_embed1.norm.eps) == (1e-5, 1e-4)
    assert encoder.block4[1].drop_path == pytest.approx(0.3)


def test_the_architecture_chooses_the_network():
    with torch.device("meta"):
        assert type(build_model(tiny_config())) is DCFM
        assert type(build_model(tiny_config(architecture="per_frame"))) is PerFrame
