"""Training configuration: what is shipped loads, what is wrong is named."""

from pathlib import Path

import pytest
import yaml
from helpers import tiny_config

from dcfm_ros.model.config import ConfigError
from dcfm_ros.training.config import PhaseConfig, load_train_config

SHIPPED = sorted((Path(__file__).parents[2] / "config" / "train").glob("*.yaml"))
PHASE = {"iterations": 10, "batch": 4, "height": 64, "width": 96, "lr_start": 0.001, "lr_end": 0.0005}


@pytest.fixture
def load(tmp_path):
    """Load the smallest configuration with changes; a change to None removes a setting."""
    def loaded(**changes):
        plain = {"model": tiny_config().to_dict(), "phases": [PHASE], **changes}
        (tmp_path / "train.yaml").write_text(yaml.safe_dump({k: v for k, v in plain.items() if v is not None}))
        return load_train_config(tmp_path / "train.yaml")
    return loaded


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_configurations_load(path):
    config = load_train_config(path)
    assert config.iterations == sum(phase.iterations for phase in config.phases)
    assert set(config.data.movable) <= set(config.model.class_names)


def test_something_is_shipped():
    assert "street11_b0" in [path.stem for path in SHIPPED]


def test_defaults_and_sections(load):
    config = load(data={"radius": 3, "movable": ["car"]}, augment={"rotation": 1.0}, seed=5)
    assert config.model == tiny_config() and config.phases == (PhaseConfig(**PHASE),)
    assert (config.data.radius, config.data.movable, config.augment.rotation, config.seed) == (3, ("car",), 1.0, 5)
    assert config.consistency and config.data.synthetic_weight == 1.0


def test_phases_and_rates(load):
    config = load(phases=[PHASE, PHASE | {"iterations": 5, "lr_start": 0.0005, "lr_end": 0.0}], warmup=4)
    assert config.iterations == 15
    assert [config.phase_at(i)[1] for i in (0, 9, 10, 14)] == [0, 9, 0, 4]
    assert config.phase_at(9)[0] is config.phases[0] and config.phase_at(10)[0] is config.phases[1]
    assert config.learning_rate(0) == pytest.approx(0.001 / 4)             # warm-up
    assert config.learning_rate(5) == pytest.approx(0.00075)               # half-way from 0.001 to 0.0005
    assert config.learning_rate(14) == pytest.approx(0.0005 / 5)
    with pytest.raises(IndexError, match="past the end"):
        config.phase_at(15)


@pytest.mark.parametrize("changes, message", [
    ({"rate": 3}, r"unknown training settings \['rate'\]: known are .*clip_norm"),
    ({"data": {"folder": "x"}}, r"unknown data settings \['folder'\]: known are .*stills"),
    ({"phases": [PHASE | {"lr": 1}]}, r"unknown phase settings \['lr'\]: known are .*lr_start"),
    ({"augment": {"scale": 1}}, r"unknown augment settings \['scale'\]: known are .*min_zoom"),
    ({"model": tiny_config().to_dict() | {"depth": 1}}, r"unknown model settings \['depth'\]"),
    ({"model": None}, r"model settings lack \['backbone', 'classes'\]"),
    ({"phases": None}, "no phases"),
    ({"phases": [{k: v for k, v in PHASE.items() if k != "batch"}]}, "missing 1 required .*'batch'"),
    ({"phases": [PHASE | {"iterations": 0}]}, "iterations 0 and batch 4: both must be at least 1"),
    ({"phases": [PHASE | {"batch": 0}]}, "batch 0"),
    ({"phases": [PHASE | {"height": 65}]}, "crop 96x65: use multiples of 32, at least 64"),
    ({"phases": [PHASE | {"width": 32}]}, "crop 32x64"),
    ({"phases": [PHASE | {"lr_end": -1.0}]}, "learning rates 0.001, -1.0: must not be negative"),
    ({"phases": [PHASE | {"synthetic_weight": 0.0}]}, "data weights 0.0 and 0.0 in a phase: .*one must be positive"),
    ({"phases": [PHASE | {"stills_weight": -1.0}]}, "data weights 1.0 and -1.0 in a phase: none may be negative"),
    ({"phases": [PHASE | {"lr_start": "fast"}]}, "train.yaml: "),
    ({"phases": 3}, "train.yaml: "),
    ({"data": {"synthetic_weight": 0}}, "data weights 0 and 0.0: none may be negative, one must be positive"),
    ({"data": {"stills_weight": -1}}, "data weights 1.0 and -1"),
    ({"data": {"radius": 0}}, "radius 0: the neighbour is at least 1 frame away"),
    ({"data": {"movable": ["lorry"]}}, r"movable \['lorry'\] are not among the model's classes \['sky', 'road'"),
    ({"augment": {"min_zoom": 3}}, "zoom range 3"),
    ({"save_every": 0}, "save_every 0: save after 1 or more iterations"),
])
def test_bad_settings_are_named(load, changes, message):
    with pytest.raises(ConfigError, match=rf"(?s)train\.yaml.*{message}" if not message.startswith("train") else message):
        load(**changes)


def test_unusable_files_are_named(tmp_path):
    with pytest.raises(ConfigError, match="no training configuration at .*nowhere.yaml: name a YAML file, for example"):
        load_train_config(tmp_path / "nowhere.yaml")
    for text, message in (("model: [unclosed", "bad.yaml is not valid YAML"), ("- 1", "bad.yaml does not hold a mapping"), ("", "mapping")):
        (tmp_path / "bad.yaml").write_text(text)
        with pytest.raises(ConfigError, match=message):
            load_train_config(tmp_path / "bad.yaml")
