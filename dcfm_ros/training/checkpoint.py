# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: `state.pt` to resume from, and the model folders `last` and `best`.

Everything is written atomically: an interrupted save leaves the previous checkpoint intact.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import torch
from safetensors import SafetensorError

from dcfm_ros.files import atomic_files
from dcfm_ros.model.build import Model
from dcfm_ros.model.config import ConfigError
from dcfm_ros.model.folder import save_model
from dcfm_ros.training.settings import PhaseConfig, TrainConfig

STATE_FILE = "state.pt"
LAST, BEST = "last", "best"
LOG_FILE = "log.jsonl"

# Settings that may change on resume without altering the result; * stands for any number.
FREE = (
    "data.sources.*.root",
    "data.in_memory",
    "validation.root",
    "init",
    "init_encoder",
    "init_terms",
    "save_every",
)
# Settings that older checkpoints lack, with the values in effect then.
YOUNGER = {
    "data.aligned": 0.0,
    "average": 0.0,
    "frozen_norms": False,
    "encoder_lr": 1.0,
    "init_encoder": "",
    "init_terms": "",
    "augment.effects": 0.0,
    "validation.only": "",
}


class TrainingError(RuntimeError):
    """Training had to stop; the last checkpoint is intact."""


def save_state(out: Path, state: dict) -> None:
    """Replace `state.pt`; `state` contains tensors and plain values."""
    path = out / STATE_FILE
    try:
        with atomic_files(path) as (part,), part.open("wb") as file:
            torch.save(state, file)
    except (OSError, RuntimeError) as error:
        raise _not_saved(path, error) from error


def save_folder(folder: Path, model: Model, record: dict) -> None:
    """Replace a model folder."""
    try:
        save_model(folder, model, record)
    except (OSError, RuntimeError, SafetensorError) as error:
        raise _not_saved(folder, error) from error


def load_state(out: Path, config: TrainConfig, resume: bool) -> dict | None:
    """Return the state to resume from, or None for a new training.

    It must have the same configuration, except that phases may be added or longer, and paths may differ.
    """
    path = out / STATE_FILE
    if not path.is_file():
        _require_empty(out, resume)
        return None
    if not resume:
        raise TrainingError(
            f"{out} already contains a training: give --resume to continue it, or another --out"
        )
    state = _state(path)
    if changed := differences(json.loads(state["configuration"]), plain_config(config)):
        raise ConfigError(
            f"{path} was made with another configuration: "
            + "; ".join(changed)
            + ". Use the same settings, or start in another --out, perhaps with --init"
        )
    return state


def _state(path: Path) -> dict:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        json.loads(state["configuration"]), state["iteration"]
    except Exception as error:  # damaged bytes make torch.load fail in many ways
        raise TrainingError(
            f"{path} is not a readable checkpoint ({type(error).__name__}): start in another --out, perhaps "
            f"with --init {path.parent / LAST}"
        ) from error
    return state


def as_fitted(config: TrainConfig, out: Path) -> TrainConfig:
    """Return the configuration with the phases, warm-up and intervals of the checkpoint in `out`, which
    `fitted` chose; unchanged if there is none."""
    path = out / STATE_FILE
    if not path.is_file():
        return config
    before = json.loads(_state(path)["configuration"])
    phases = tuple(PhaseConfig(**phase) for phase in before["phases"])
    every = (before["validation"] or {}).get("every")
    validation = config.validation and replace(config.validation, every=every or config.validation.every)
    return replace(
        config, phases=phases, warmup=before["warmup"], save_every=before["save_every"], validation=validation
    )


def _require_empty(out: Path, resume: bool) -> None:
    """Raise TrainingError if a training without a state would be overwritten; with `resume`, what was written
    before the first checkpoint may be."""
    found = [f"{name}/" for name in (LAST, BEST) if (out / name).exists()]
    if (out / LOG_FILE).is_file() and (
        out / LOG_FILE
    ).stat().st_size:  # an empty one is left by a training that failed at its start
        found.append(LOG_FILE)
    if (f"{LAST}/" in found) if resume else found:
        raise TrainingError(
            f"{out} contains {', '.join(found)} without {STATE_FILE} to resume from: give another --out, or "
            "move them away"
        )


def plain_config(config: TrainConfig) -> dict:
    """Return the configuration as plain values for JSON."""
    return json.loads(json.dumps(asdict(config)))


def differences(before: dict, now: dict) -> list[str]:
    """Return the settings whose change would alter the result of a training, with both values."""
    before, now = dict(before), dict(now)
    phases, more = before.pop("phases"), now.pop("phases")
    changed = list(_changed(before, now))
    if len(more) < len(phases):
        changed.append(f"phases: {len(phases)} before, {len(more)} now")
    for number, (one, other) in enumerate(zip(phases, more)):
        longer = other["iterations"] > one["iterations"] and number == len(phases) - 1
        changed += [
            text
            for text in _changed(one, other, f"phases.{number}")
            if not (longer and ".iterations" in text)
        ]
    return changed


def _changed(one, other, path: str = ""):
    if isinstance(one, dict) and isinstance(other, dict):
        for key in dict.fromkeys([*one, *other]):
            inner = f"{path}.{key}" if path else key
            yield from _changed(one.get(key, YOUNGER.get(inner)), other.get(key), inner)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, pair in enumerate(zip(one, other)):
            yield from _changed(*pair, f"{path}.{number}")
    elif one != other and _pattern(path) not in FREE:
        yield f"{path} was {_short(one)} and is {_short(other)}"


def _pattern(path: str) -> str:
    return ".".join("*" if part.isdigit() else part for part in path.split("."))


def _short(value) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _not_saved(path: Path, error: Exception) -> TrainingError:
    return TrainingError(
        f"{path} could not be saved ({error}); the previous checkpoint is intact. Free space and continue "
        "with --resume"
    )
