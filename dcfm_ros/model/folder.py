# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Model folders: `model.yaml` (configuration, training record) and `weights.safetensors`. Loading is
strict."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import torch
import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from dcfm_ros.config_folders import config_folders
from dcfm_ros.files import atomic_files, unwritable
from dcfm_ros.model.build import Model, build_model
from dcfm_ros.model.config import ConfigError, ModelConfig

log = logging.getLogger(__name__)

CONFIG_FILE = "model.yaml"
WEIGHTS_FILE = "weights.safetensors"


class ModelError(RuntimeError):
    """A model that cannot be loaded; the message names the problem and the remedy."""


def save_model(folder: str | Path, model: Model, record: dict | None = None, half: bool = False) -> Path:
    """Write a model folder atomically: if the disk is full, the old model stays, or no folder is left. An
    OSError names the folder.

    half: store float16, which makes no visible difference in a mask
    record: what is known of the training
    """
    folder = Path(folder)
    tensors = {
        key: (value.half() if half and value.is_floating_point() else value).contiguous()
        for key, value in model.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    plain = {"model": model.config.to_dict(), "training": record or {}}
    text = yaml.safe_dump(plain, sort_keys=False)
    made = [path for path in (folder, *folder.parents) if not path.exists()]  # the innermost first
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_files(folder / WEIGHTS_FILE, folder / CONFIG_FILE) as (weights, config):
            save_file(tensors, weights)
            config.write_text(text, encoding="utf-8")
            weights.chmod(config.stat().st_mode & 0o777)  # safetensors lets its owner alone read
    except BaseException as error:
        for path in made:
            with suppress(OSError):  # the failure itself is what is reported
                path.rmdir()
        if isinstance(error, (OSError, SafetensorError)):  # safetensors has its own for a full disk
            raise unwritable(folder, error) from error
        raise
    return folder


def load_model(name: str | Path) -> Model:
    """Load the model of a folder, or a built-in model by name, in evaluation mode on the CPU, float32.

    Logs a warning if parts of it are untrained.
    """
    folder = find_model(name)
    model = build_model(load_model_config(folder))
    weights = folder / WEIGHTS_FILE
    if not weights.is_file():
        raise ModelError(
            f"{folder} has no {WEIGHTS_FILE}: a model folder contains {CONFIG_FILE} and {WEIGHTS_FILE}"
        )
    try:
        tensors = load_file(weights)
    except SafetensorError as error:
        raise ModelError(
            f"{weights} is not a readable safetensors file ({error}): copy or export it again"
        ) from error
    _load_strictly(model, tensors, weights)
    model.folder = folder
    if untrained := untrained_parts(folder):
        log.warning(
            "%s is untrained in %s: its masks are meaningless; use it only to start training from",
            folder,
            " and ".join(untrained),
        )
    return model.eval()


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
        plain = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} is not valid YAML in UTF-8, correct it: {error}") from error
    if not isinstance(plain, dict) or not isinstance(plain.get("model"), dict):
        raise ModelError(f"{path} has no section 'model'")
    return path, plain


def find_model(name: str | Path) -> Path:
    """Return the given folder, or that of the built-in model of this name."""
    if (Path(name) / CONFIG_FILE).is_file():
        return Path(name)
    places = config_folders("models")
    for place in places:
        if str(name) and (place / str(name) / CONFIG_FILE).is_file():
            return place / str(name)
    known = sorted({p.parent.name for place in places for p in place.glob(f"*/{CONFIG_FILE}")})
    raise ModelError(
        f"no model {str(name)!r}: give a folder that contains {CONFIG_FILE}, or a built-in model "
        f"({', '.join(known) or 'none found'})"
    )


def _load_strictly(model: Model, tensors: dict[str, torch.Tensor], source: Path) -> None:
    """Load weights that have to match the model exactly; raise ModelError if they do not."""
    expected = {k: v for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    missing, unexpected = sorted(set(expected) - set(tensors)), sorted(set(tensors) - set(expected))
    if missing or unexpected:
        raise ModelError(
            f"{source} does not fit {model.config.backbone}: missing {some(missing)}, "
            f"unexpected {some(unexpected)}"
        )
    for key, tensor in tensors.items():
        if tensor.shape != expected[key].shape:
            hint = ""
            if key.startswith(("head.classifier", "classifier")):
                hint = (
                    f": the weights have {tensor.shape[0]} classes, {CONFIG_FILE} lists "
                    f"{expected[key].shape[0]}"
                )
            raise ModelError(
                f"{source}: {key} has shape {tuple(tensor.shape)}, expected "
                f"{tuple(expected[key].shape)}{hint}"
            )
    model.load_state_dict({k: v.float() for k, v in tensors.items()}, strict=False)


def some(names: Sequence[str]) -> str:
    """Return the first few of many names, and the number of the others."""
    shown = ", ".join(names[:5]) or "none"
    return shown + (f" and {len(names) - 5} more" if len(names) > 5 else "")
