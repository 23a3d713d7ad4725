# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Model configuration: defaults, round trip, and every bad value by its message."""

import numpy as np
import pytest
import yaml
from helpers import CLASSES, tiny_config

from dcfm_ros.model.config import ClassSpec, ConfigError, ModelConfig
from dcfm_ros.model.normalisation import IMAGENET


def test_defaults():
    config = ModelConfig(backbone="mit_b0", classes=CLASSES)
    assert (config.input_height, config.input_width, config.embed, config.head_layers) == (360, 480, 256, 0)
    assert config.shallow_used == 16  # half the shallow channels
    assert ModelConfig(backbone="mit_b2", classes=CLASSES).shallow_used == 32
    assert (config.architecture, config.shallow_on, config.common_width) == ("dcfm", "all", 0)
    assert config.class_names == ("sky", "road", "tree", "car", "pedestrian")


def test_round_trip_through_yaml():
    for changes in (
        {"head_layers": 1, "shallow_used": 8, "drop_path": 0.1, "block_eps": 1e-5},
        {"backbone": "pspnet50", "common_width": 1280, "shallow_on": "nonkey"},
        {"backbone": "resnet18", "architecture": "per_frame"},
    ):
        config = tiny_config(**changes)
        assert ModelConfig.from_dict(yaml.safe_load(yaml.safe_dump(config.to_dict()))) == config


@pytest.mark.parametrize(
    "backbone, shallow, deep, used",
    [
        ("mit_b0", 32, 256, 16),
        ("mit_b1", 64, 256, 32),
        ("mit_b5", 64, 256, 32),
        ("efficientnet_lite0", 24, 256, 12),
        ("efficientnet_lite2", 24, 256, 12),
        ("efficientnet_lite4", 32, 256, 16),
        ("resnet18", 64, 512, 32),
        ("resnet50", 256, 2048, 128),
        ("resnet101", 256, 2048, 128),
        ("pspnet18", 64, 1024, 32),
        ("pspnet50", 256, 4096, 128),
        ("pspnet101", 256, 4096, 128),
    ],
)
def test_channels_of_the_features(backbone, shallow, deep, used):
    config = ModelConfig(backbone=backbone, classes=CLASSES)
    assert (config.shallow_channels, config.shallow_used) == (shallow, used)
    assert config.deep_channels == config.common_channels == deep
    assert config.is_mit == backbone.startswith("mit") and config.fuses_stages == (
        "net" not in backbone or "eff" in backbone
    )
    assert ModelConfig(backbone=backbone, classes=CLASSES, common_width=48).common_channels == 48


def test_embed_is_the_deep_width_where_stages_are_fused():
    for backbone in ("mit_b0", "efficientnet_lite0"):
        assert tiny_config(embed=768, backbone=backbone).deep_channels == 768
        assert tiny_config(embed=768, backbone=backbone).common_channels == 768
    assert tiny_config(embed=768, backbone="resnet18").deep_channels == 512


def test_images_are_normalised_as_the_backbone_was_published_unless_told_otherwise():
    assert tiny_config().normalisation == IMAGENET == tiny_config(backbone="resnet18").normalisation
    lite = tiny_config(backbone="efficientnet_lite2").normalisation
    assert np.allclose((np.array([0, 127, 255]) / 255 - lite.mean) / lite.std, [-127 / 128, 0, 1])
    other = tiny_config(image_mean=[0.5, 0.5, 0.4], image_std=[0.2, 0.3, 0.4])
    assert other.normalisation == ((0.5, 0.5, 0.4), (0.2, 0.3, 0.4))
    assert ModelConfig.from_dict(yaml.safe_load(yaml.safe_dump(other.to_dict()))) == other


def test_a_configuration_is_a_value():
    assert tiny_config() == tiny_config() != tiny_config(3)
    assert hash(tiny_config()) == hash(tiny_config())
    with pytest.raises(AttributeError):
        tiny_config().embed = 3


def test_classes_may_be_plain():
    config = ModelConfig(backbone="mit_b0", classes=[{"name": "sky", "color": [1, 2, 3]}])
    assert config.classes == (ClassSpec("sky", (1, 2, 3)),)


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"backbone": "resnet"},
            "unknown backbone 'resnet': use one of mit_b0, mit_b1, .*resnet18, .*pspnet101",
        ),
        ({"classes": 3}, "classes 3: use a list, each entry settings of ClassSpec"),
        ({"classes": ["road"]}, "class 'road': give its name and color"),
        ({"classes": [{"name": "road"}]}, "give its name and color"),
        ({"classes": ()}, "0 classes: use 1 to 255"),
        ({"classes": tuple(ClassSpec(str(i), (0, 0, 0)) for i in range(256))}, "256 classes: use 1 to 255"),
        ({"classes": CLASSES[:2] + CLASSES[:1]}, "class names repeat: .*make them unique"),
        ({"shallow_used": 33}, "shallow_used 33: mit_b0 has 1 to 32 shallow channels"),
        ({"shallow_used": -1}, "shallow_used -1"),
        (
            {"shallow_used": 65, "backbone": "pspnet18"},
            "shallow_used 65: pspnet18 has 1 to 64 shallow channels",
        ),
    ],
)
def test_bad_values_are_named(changes, message):
    with pytest.raises(ConfigError, match=message):
        ModelConfig(**{"backbone": "mit_b0", "classes": CLASSES, **changes})


@pytest.mark.parametrize(
    "name, color, message",
    [
        ("", (0, 0, 0), "a class has no name"),
        ("sky\x1b[31m", (0, 0, 0), r"class 'sky.x1b.31m': its name has control characters; leave them out"),
        ("sky\n", (0, 0, 0), "its name has control characters"),
        (5, (0, 0, 0), "class 5: name 5: use text"),
        ("sky", (0, 0), "class 'sky': color .*: use a list of 3, each entry a whole number"),
        ("sky", (0, 0, 0.5), "color .*: use a list of 3, each entry a whole number"),
        ("sky", (0, 0, 256), "class 'sky': color .*: use 0 to 255"),
    ],
)
def test_bad_classes_are_named(name, color, message):
    with pytest.raises(ConfigError, match=message):
        ClassSpec(name, color)


def test_unknown_and_missing_settings_are_named():
    plain = tiny_config().to_dict()
    with pytest.raises(
        ConfigError, match=r"unknown model settings \['bakbone', 'heads'\]: known are .*backbone"
    ):
        ModelConfig.from_dict(plain | {"heads": 1, "bakbone": "mit_b0"})
    with pytest.raises(ConfigError, match=r"lack \['backbone', 'classes'\]"):
        ModelConfig.from_dict({"embed": 3})
