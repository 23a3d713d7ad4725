"""Model configuration: defaults, round trip, and every bad value by its message."""

import pytest
import yaml
from helpers import CLASSES, tiny_config

from dcfm_ros.model.config import ClassSpec, ConfigError, ModelConfig


def test_defaults():
    config = ModelConfig(backbone="mit_b0", classes=CLASSES)
    assert (config.input_height, config.input_width, config.embed, config.head_layers) == (360, 480, 256, 0)
    assert config.shallow_used == 16   # half the shallow channels
    assert ModelConfig(backbone="mit_b2", classes=CLASSES).shallow_used == 32
    assert config.class_names == ("sky", "road", "tree", "car", "pedestrian")


def test_round_trip_through_yaml():
    config = tiny_config(head_layers=1, shallow_used=8, drop_path=0.1, block_eps=1e-5)
    assert ModelConfig.from_dict(yaml.safe_load(yaml.safe_dump(config.to_dict()))) == config


def test_a_configuration_is_a_value():
    assert tiny_config() == tiny_config() != tiny_config(3)
    assert hash(tiny_config()) == hash(tiny_config())
    with pytest.raises(AttributeError):
        tiny_config().embed = 3


def test_classes_may_be_plain():
    config = ModelConfig(backbone="mit_b0", classes=[{"name": "sky", "color": [1, 2, 3]}])
    assert config.classes == (ClassSpec("sky", (1, 2, 3)),)


@pytest.mark.parametrize("changes, message", [
    ({"backbone": "resnet"}, "unknown backbone 'resnet': use one of mit_b0, mit_b1"),
    ({"classes": ()}, "0 classes: a mask holds 1 to 255"),
    ({"classes": tuple(ClassSpec(str(i), (0, 0, 0)) for i in range(256))}, "256 classes: a mask holds 1 to 255"),
    ({"classes": CLASSES[:2] + CLASSES[:1]}, "class names repeat: .*make them unique"),
    ({"input_height": 31}, "input_height 31 is out of range: use 32 to 8192"),
    ({"input_width": 8193}, "input_width 8193 is out of range"),
    ({"head_layers": 2}, "head_layers 2: use 0 .* or 1"),
    ({"embed": 0}, "embed 0: use a positive width"),
    ({"shallow_used": 33}, "shallow_used 33: mit_b0 has 1 to 32 shallow channels"),
    ({"shallow_used": -1}, "shallow_used -1"),
])
def test_bad_values_are_named(changes, message):
    with pytest.raises(ConfigError, match=message):
        ModelConfig(**{"backbone": "mit_b0", "classes": CLASSES, **changes})


@pytest.mark.parametrize("name, color, message", [
    ("", (0, 0, 0), "a class has no name"),
    ("sky", (0, 0), "class 'sky': color .* is not three integers 0..255"),
    ("sky", (0, 0, 256), "three integers"),
    ("sky", (0, 0, -1), "three integers"),
    ("sky", (0, 0, 0.5), "three integers"),
])
def test_bad_classes_are_named(name, color, message):
    with pytest.raises(ConfigError, match=message):
        ClassSpec(name, color)


def test_unknown_and_missing_settings_are_named():
    plain = tiny_config().to_dict()
    with pytest.raises(ConfigError, match=r"unknown model settings \['bakbone', 'heads'\]: known are .*backbone"):
        ModelConfig.from_dict(plain | {"heads": 1, "bakbone": "mit_b0"})
    with pytest.raises(ConfigError, match=r"lack \['backbone', 'classes'\]"):
        ModelConfig.from_dict({"embed": 3})
