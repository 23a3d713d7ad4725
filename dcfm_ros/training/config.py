"""Training configurations: one YAML file each, and what the command line changes in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

import yaml

from dcfm_ros.model.config import ConfigError, ModelConfig
from dcfm_ros.sources.classes import CITYSCAPES19, STREET11, VSPW124
from dcfm_ros.sources.clips.classes_file import read_classes
from dcfm_ros.training.augment import AugmentConfig
from dcfm_ros.training.settings import (
    SOURCES,
    SYNTHETIC,
    DataConfig,
    PhaseConfig,
    SourceConfig,
    TrainConfig,
    ValidationConfig,
)

CLASS_TABLES = {"vspw": VSPW124, "cityscapes": CITYSCAPES19, "camvid": STREET11, "street11": STREET11}


def load_train_config(path: str | Path, changes: Sequence[str] = ()) -> TrainConfig:
    """Read a YAML file; unknown or missing settings are errors that name them.

    The model's `classes` may be a list, the name of a built-in table (vspw, cityscapes, camvid, street11) or the
    `classes.yaml` of a data set.
    changes: `setting=value` each, in place of the file's, as in `seed=1`, `data.radius=1` or `data.sources.0.weight=0.5`;
        a value is read as YAML.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"no training configuration at {path}: name a YAML file, for example config/train/street11_b0.yaml")
    try:
        plain = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(plain, dict):
        raise ConfigError(f"{path} does not hold a mapping of settings")
    for change in changes:
        _apply(plain, change)
    try:
        return _train_config(plain)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{path}: {error}") from error


def with_roots(config: TrainConfig, roots: Sequence[str]) -> TrainConfig:
    """The configuration with the folders of its data sets, each `NAME=PATH`, or `PATH` where it has one data set only.

    A folder goes to every source of its name and to the validation.
    """
    validation = [config.validation] if config.validation else []
    names = list(dict.fromkeys(part.source for part in (*config.data.sources, *validation) if part.source != SYNTHETIC))
    for text in roots:
        name, equals, root = text.partition("=")
        if not equals or (name not in SOURCES and Path(text).exists()):
            if len(names) != 1:
                raise ConfigError(f"--data {text}: the configuration has {_listed(names)}; write NAME=PATH")
            name, root = names[0], text
        if name not in names:
            raise ConfigError(f"--data {text}: {name} takes no folder here; the configuration has {_listed(names)}")
        sources = tuple(replace(s, root=root) if s.source == name else s for s in config.data.sources)
        config = replace(config, data=replace(config.data, sources=sources))
        if config.validation and config.validation.source == name:
            config = replace(config, validation=replace(config.validation, root=root))
    return config


def _train_config(plain: dict) -> TrainConfig:
    data, validation = dict(plain.pop("data", {})), plain.pop("validation", None)
    if "sources" in data:
        data["sources"] = tuple(_build(SourceConfig, source, "source") for source in data["sources"])
    return TrainConfig(
        model=_model(dict(plain.pop("model", {}))),
        data=_build(DataConfig, data, "data"),
        phases=tuple(_build(PhaseConfig, phase, "phase") for phase in plain.pop("phases", [])),
        augment=_build(AugmentConfig, plain.pop("augment", {}), "augment"),
        validation=None if validation is None else _build(ValidationConfig, validation, "validation"),
        **_known(TrainConfig, plain, "training"),
    )


def _model(plain: dict) -> ModelConfig:
    if isinstance(classes := plain.get("classes"), str):
        if classes.endswith((".yaml", ".yml")):
            table = read_classes(Path(classes)).table
        elif classes in CLASS_TABLES:
            table = CLASS_TABLES[classes]
        else:
            raise ConfigError(f"classes {classes!r}: use a list, {', '.join(CLASS_TABLES)}, or the path of a classes.yaml")
        plain["classes"] = [{"name": name, "color": color} for name, color in table]
    return ModelConfig.from_dict(plain)


def _apply(plain: dict, change: str) -> None:
    name, equals, value = change.partition("=")
    *sections, last = name.strip().split(".")
    if not equals or not last:
        raise ConfigError(f"{change!r}: write setting=value, for example seed=1 or data.radius=1")
    place = plain
    for section in sections:
        place = place.setdefault(section, {}) if isinstance(place, dict) else place[_number(place, section, change)]
        if not isinstance(place, (dict, list)):
            raise ConfigError(f"{change!r}: {section} has no settings of its own")
    try:
        place[last if isinstance(place, dict) else _number(place, last, change)] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError(f"{change!r}: the value is not valid YAML") from error


def _number(entries: list, text: str, change: str) -> int:
    if not text.isdigit() or int(text) >= len(entries):
        raise ConfigError(f"{change!r}: in place of {text} give the number of an entry, 0 to {len(entries) - 1}")
    return int(text)


def _build(kind, plain: dict, where: str):
    return kind(**_known(kind, plain, where))


def _known(kind, plain: dict, where: str) -> dict:
    if not isinstance(plain, dict):
        raise ConfigError(f"{where} is {plain!r}: use a mapping of settings")
    names = {f.name for f in fields(kind)}
    if unknown := sorted(set(plain) - names):
        raise ConfigError(f"unknown {where} settings {unknown}: known are {sorted(names)}")
    return plain


def _listed(names: Sequence[str]) -> str:
    return f"data of {', '.join(names)}" if names else "no data with a folder"
