# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Model folders: where they are, and what their `model.yaml` says. Without PyTorch."""

from __future__ import annotations

from pathlib import Path

from dcfm_ros.config_folders import config_folders
from dcfm_ros.model.config import ConfigError, ModelConfig
from dcfm_ros.plain_files import PlainFileError, read_yaml

CONFIG_FILE = "model.yaml"
WEIGHTS_FILE = "weights.safetensors"


class ModelError(RuntimeError):
    """A model that cannot be loaded; the message names the problem and the remedy."""


def load_model_config(name: str | Path) -> ModelConfig:
    """Return the configuration of a model without loading its weights."""
    path, plain = _settings(name)
    try:
        return ModelConfig.from_dict(plain["model"])
    except (ConfigError, TypeError) as error:
        raise ModelError(f"{path}: {error}") from error


def untrained_parts(name: str | Path) -> tuple[str, ...]:
    """Return the parts of the model (fusion, classifier, ...) with random weights, as in an imported
    backbone."""
    path, plain = _settings(name)
    imported = _record(plain).get("imported", {})
    parts = imported.get("untrained", []) if isinstance(imported, dict) else None
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise ModelError(
            f"{path}: training.imported.untrained is not a list of names: {parts!r}; import the model again"
        )
    return tuple(parts)


def training_record(name: str | Path) -> dict:
    """Return the training record in `model.yaml`; empty if there is none."""
    return _record(_settings(name)[1])


def _record(plain: dict) -> dict:
    record = plain.get("training")
    return record if isinstance(record, dict) else {}


def _settings(name: str | Path) -> tuple[Path, dict]:
    """Return the path of model.yaml and its content, which has a section 'model'."""
    path = find_model(name) / CONFIG_FILE
    try:
        plain = read_yaml(path)
    except PlainFileError as error:
        raise ModelError(f"{path} is not valid YAML in UTF-8, correct it: {error}") from error
    if not isinstance(plain, dict) or not isinstance(plain.get("model"), dict):
        raise ModelError(f"{path} has no section 'model'")
    return path, plain


def find_model(name: str | Path) -> Path:
    """Return the given folder, or that of the built-in model of this name."""
    if (Path(name) / CONFIG_FILE).is_file():
        return Path(name)
    for place in config_folders("models"):
        if str(name) and (place / str(name) / CONFIG_FILE).is_file():
            return place / str(name)
    raise ModelError(
        f"no model {str(name)!r}: give a folder that contains {CONFIG_FILE}, or a built-in model "
        f"({', '.join(built_in_models()) or 'none found'})"
    )


def built_in_models() -> list[str]:
    """Return the names of the models that come with the package."""
    return sorted(
        {path.parent.name for place in config_folders("models") for path in place.glob(f"*/{CONFIG_FILE}")}
    )


def built_in_name(model: str | Path) -> str:
    """Return the name of a model that comes with the package; empty for others."""
    folder = find_model(model).resolve()
    return folder.name if folder.parent in {place.resolve() for place in config_folders("models")} else ""
