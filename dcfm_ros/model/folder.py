# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Model folders: `model.yaml` (configuration, training record) and `weights.safetensors`. Loaded strictly."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import torch
import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from dcfm_ros.config_folders import config_folders
from dcfm_ros.model.build import Model, build_model
from dcfm_ros.model.config import ConfigError, ModelConfig

log = logging.getLogger(__name__)

CONFIG_FILE = "model.yaml"
WEIGHTS_FILE = "weights.safetensors"


class ModelError(RuntimeError):
    """A model that cannot be loaded; the message names what is wrong and the remedy."""


def save_model(folder: str | Path, model: Model, record: dict | None = None, half: bool = False) -> Path:
    """Write a model folder. Both files are written aside and renamed, so a full disk leaves the old model
    whole, and nothing where there was none: what was written of the new one is removed. An OSError names the
    folder.

    `half` stores float16, which loses nothing visible in a mask. `record` is what is known of the training.
    """
    folder = Path(folder)
    tensors = {
        key: (value.half() if half and value.is_floating_point() else value).contiguous()
        for key, value in model.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    plain = {"model": model.config.to_dict(), "training": record or {}}
    text = yaml.safe_dump(plain, sort_keys=False)
    weights_part, config_part = folder / f"{WEIGHTS_FILE}.part", folder / f"{CONFIG_FILE}.part"
    new = [path for path in (folder, *folder.parents) if not path.exists()]  # the innermost first
    new_weights = [] if (folder / WEIGHTS_FILE).exists() else [folder / WEIGHTS_FILE]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(tensors, weights_part)
        config_part.write_text(text, encoding="utf-8")
        weights_part.chmod(config_part.stat().st_mode & 0o777)  # safetensors lets its owner alone read
        for part in (weights_part, config_part):
            _flush(part)
        os.replace(weights_part, folder / WEIGHTS_FILE)
        os.replace(config_part, folder / CONFIG_FILE)
    except BaseException as error:
        _remove((weights_part, config_part, *new_weights), new)
        if isinstance(error, (OSError, SafetensorError)):  # safetensors has its own for a full disk
            raise OSError(
                f"{folder} could not be written ({error}): free space there or give another folder"
            ) from error
        raise
    return folder


def _flush(path: Path) -> None:
    """Wait until a file is on the disk: a rename may otherwise outlive what was written."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _remove(files: Sequence[Path], folders: Sequence[Path]) -> None:
    """Remove what a failed write leaves: the files, then the folders, where these are empty."""
    for path, remove in [
        *((file, Path.unlink) for file in files),
        *((folder, Path.rmdir) for folder in folders),
    ]:
        with suppress(OSError):  # the failure itself is what is reported
            remove(path)


def load_model(name: str | Path) -> Model:
    """The model of a folder, or the built-in model of that name, in evaluation mode on the CPU, float32.

    Warns where parts of it are untrained.
    """
    folder = find_model(name)
    model = build_model(load_model_config(folder))
    weights = folder / WEIGHTS_FILE
    if not weights.is_file():
        raise ModelError(
            f"{folder} has no {WEIGHTS_FILE}: a model folder holds {CONFIG_FILE} and {WEIGHTS_FILE}"
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
            "%s is untrained in %s: its masks mean nothing, it is there to start training from",
            folder,
            " and ".join(untrained),
        )
    return model.eval()


def load_model_config(name: str | Path) -> ModelConfig:
    path, plain = _settings(name)
    try:
        return ModelConfig.from_dict(plain["model"])
    except (ConfigError, TypeError) as error:
        raise ModelError(f"{path}: {error}") from error


def untrained_parts(name: str | Path) -> tuple[str, ...]:
    """Parts of the model (fusion, classifier, ...) with random weights, as an imported backbone has."""
    path, plain = _settings(name)
    imported = _record(plain).get("imported", {})
    parts = imported.get("untrained", []) if isinstance(imported, dict) else None
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise ModelError(
            f"{path}: training.imported.untrained is no list of names: {parts!r}; import the model again"
        )
    return tuple(parts)


def training_record(name: str | Path) -> dict:
    """What `model.yaml` tells of the training; empty where it tells nothing."""
    return _record(_settings(name)[1])


def _record(plain: dict) -> dict:
    record = plain.get("training")
    return record if isinstance(record, dict) else {}


def _settings(name: str | Path) -> tuple[Path, dict]:
    """model.yaml and what it says; its section 'model' is there."""
    path = find_model(name) / CONFIG_FILE
    try:
        plain = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} is not valid YAML in UTF-8, correct it: {error}") from error
    if not isinstance(plain, dict) or not isinstance(plain.get("model"), dict):
        raise ModelError(f"{path} has no section 'model'")
    return path, plain


def find_model(name: str | Path) -> Path:
    """A folder as given, or the built-in model of that name."""
    if (Path(name) / CONFIG_FILE).is_file():
        return Path(name)
    places = config_folders("models")
    for place in places:
        if str(name) and (place / str(name) / CONFIG_FILE).is_file():
            return place / str(name)
    known = sorted({p.parent.name for place in places for p in place.glob(f"*/{CONFIG_FILE}")})
    raise ModelError(
        f"no model {str(name)!r}: give a folder that holds {CONFIG_FILE}, or a built-in model "
        f"({', '.join(known) or 'none found'})"
    )


def _load_strictly(model: Model, tensors: dict[str, torch.Tensor], source: Path) -> None:
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
    """The first few of many names, and how many more there are."""
    shown = ", ".join(names[:5]) or "none"
    return shown + (f" and {len(names) - 5} more" if len(names) > 5 else "")
