# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training configurations: one YAML file each, and overrides from the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

from dcfm_ros.model.config import ConfigError, ModelConfig
from dcfm_ros.model.model_yaml import load_model_config
from dcfm_ros.plain_files import PlainFileError, parse_yaml, read_yaml
from dcfm_ros.sources.clips.classes_file import read_classes
from dcfm_ros.sources.data_sets import CLASS_TABLES, DATA_SETS, SYNTHETIC, class_table
from dcfm_ros.training.augment import AugmentConfig
from dcfm_ros.training.settings import (
    MEANING,
    SOURCES,
    DataConfig,
    PhaseConfig,
    SourceConfig,
    TrainConfig,
    ValidationConfig,
)

OF_DCFM = ("common_width", "shallow_used", "head_layers")
INHERITED = ("embed", "fusion", *MEANING, *OF_DCFM)  # settings inherited with `backbone: init`


def load_train_config(
    path: str | Path,
    changes: Sequence[str] = (),
    roots: Sequence[str] = (),
    init: str = "",
    init_encoder: str = "",
) -> TrainConfig:
    """Read a YAML file; unknown or missing settings are errors that name them.

    The model's `classes` may be a list, the name of a built-in table (vspw, cityscapes, camvid, street11),
    the path of a `classes.yaml`, or `data`: those of the first data source. With `backbone: init`, everything
    that defines the meaning of the weights is taken from the model that training starts from.

    changes: overrides `setting=value`, for example `seed=1`, `data.radius=1` or `data.sources.0.weight=0.5`;
        values are parsed as YAML
    roots: folders of data sets, each `NAME=PATH`, or `PATH` if the configuration has a single data set
    init, init_encoder: what training starts from, overriding either setting of the file
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(
            f"no training configuration at {path}: name a YAML file, for example config/train/street11.yaml"
        )
    try:
        plain = read_yaml(path)
    except PlainFileError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(plain, dict):
        raise ConfigError(f"{path} does not contain a mapping of settings")
    for change in changes:
        _apply(plain, change)
    if init or init_encoder:
        plain |= {"init": init, "init_encoder": init_encoder}
    try:
        return _train_config(plain, roots)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{path}: {error}") from error


def _train_config(plain: dict, roots: Sequence[str]) -> TrainConfig:
    of_data, validation = (
        dict(_known(DataConfig, plain.pop("data", {}), "data")),
        plain.pop("validation", None),
    )
    if "sources" in of_data:
        of_data["sources"] = tuple(
            _build(SourceConfig, source, "source") for source in _entries(of_data["sources"], "sources")
        )
    data = _build(DataConfig, of_data, "data")
    validation = None if validation is None else _build(ValidationConfig, validation, "validation")
    given: dict[str, str] = {}
    for root in roots:
        name, folder = _named_root(data, validation, root)
        if name in given:
            raise ConfigError(
                f"--data {root}: {name} already has the folder {given[name]}; give one per data set"
            )
        given[name] = folder
        data, validation = _with_root(data, validation, name, folder)
    return TrainConfig(
        model=_model(plain.pop("model", {}), data.sources[0], plain.get("init")),
        data=data,
        phases=tuple(
            _build(PhaseConfig, phase, "phase") for phase in _entries(plain.pop("phases", []), "phases")
        ),
        augment=_build(AugmentConfig, plain.pop("augment", {}), "augment"),
        validation=validation,
        **_known(TrainConfig, plain, "training"),
    )


def _named_root(data: DataConfig, validation: ValidationConfig | None, text: str) -> tuple[str, str]:
    """Return name and folder of a data set given on the command line."""
    parts: list[SourceConfig | ValidationConfig] = [*data.sources, *([validation] if validation else [])]
    names = list(dict.fromkeys(part.source for part in parts if part.source != SYNTHETIC))
    name, equals, root = text.partition("=")
    if not equals or (name not in SOURCES and Path(text).exists()):
        if len(names) != 1:
            raise ConfigError(f"--data {text}: the configuration has {_listed(names)}; write NAME=PATH")
        name, root = names[0], text
    if name not in names:
        raise ConfigError(
            f"--data {text}: {name} takes no folder here; the configuration has {_listed(names)}"
        )
    return name, root


def _with_root(
    data: DataConfig, validation: ValidationConfig | None, name: str, root: str
) -> tuple[DataConfig, ValidationConfig | None]:
    """Assign a folder to every source of this name and to the validation."""
    if validation and validation.source == name:
        validation = replace(validation, root=root)
    return replace(
        data, sources=tuple(replace(s, root=root) if s.source == name else s for s in data.sources)
    ), validation


def _model(plain: dict, source: SourceConfig, init: str | None) -> ModelConfig:
    if isinstance(classes := _known(ModelConfig, plain, "model").get("classes"), str):
        plain = {
            **plain,
            "classes": [{"name": name, "color": color} for name, color in _class_table(classes, source)],
        }
    if plain.get("backbone") == "init":
        if not init:
            raise ConfigError(
                "backbone init is that of the model that training starts from: name one by --init, or give a "
                "backbone"
            )
        origin = load_model_config(init)
        names = (
            INHERITED
            if origin.architecture == "dcfm"
            else [name for name in INHERITED if name not in OF_DCFM]
        )
        plain = {**{name: getattr(origin, name) for name in names}, **plain, "backbone": origin.backbone}
    return ModelConfig.from_dict(plain)


def _class_table(name: str, source: SourceConfig):
    if name == "data":
        if source.source == SYNTHETIC or DATA_SETS[source.source].classes:
            return class_table(source.source)
        if not source.root:
            raise ConfigError("the classes are those of the data, whose folder is not given: add --data PATH")
        return read_classes(Path(source.root) / "classes.yaml").table
    if name.endswith((".yaml", ".yml")):
        return read_classes(Path(name)).table
    if name not in CLASS_TABLES:
        raise ConfigError(
            f"classes {name!r}: use a list, {', '.join(CLASS_TABLES)}, data, or the path of a classes.yaml"
        )
    return class_table(name)


def _apply(plain: dict, change: str) -> None:
    name, equals, value = change.partition("=")
    *sections, last = name.strip().split(".")
    if not equals or not last:
        raise ConfigError(f"{change!r}: write setting=value, for example seed=1 or data.radius=1")
    place = plain
    for section in sections:
        place = (
            place.setdefault(section, {})
            if isinstance(place, dict)
            else place[_number(place, section, change)]
        )
        if not isinstance(place, (dict, list)):
            raise ConfigError(f"{change!r}: {section} has no settings of its own")
    try:
        place[last if isinstance(place, dict) else _number(place, last, change)] = parse_yaml(value)
    except PlainFileError as error:
        raise ConfigError(f"{change!r}: the value is not valid YAML") from error


def _number(entries: list, text: str, change: str) -> int:
    if not text.isdigit() or int(text) >= len(entries):
        raise ConfigError(
            f"{change!r}: in place of {text} give the number of an entry, 0 to {len(entries) - 1}"
        )
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


def _entries(entries, where: str) -> list:
    if not isinstance(entries, list):
        raise ConfigError(f"{where} is {entries!r}: use a list, each entry a mapping of settings")
    return entries


def _listed(names: Sequence[str]) -> str:
    return f"data of {', '.join(names)}" if names else "no data with a folder"
