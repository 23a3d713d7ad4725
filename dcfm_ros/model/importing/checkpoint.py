# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reads a foreign checkpoint without executing code from it."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from dcfm_ros.model.folder import some
from dcfm_ros.model.importing.file_kinds import is_safetensors, other_kind


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be imported; the message names the problem and the remedy."""


# Entries under which training loops keep the weights of a model, and those of other things.
WRAPPERS = (
    "model",
    "model_state_dict",
    "model_state",
    "net",
    "network",
    "module",
    "ema",
    "weights",
    "params",
)
_NO_MODEL = re.compile(r"optim|sched|scaler|callback|loop|hyper_param", re.IGNORECASE)
_DEPTH = 3  # dictionaries within each other that are searched


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The state dict of a file."""

    path: Path
    tensors: dict[str, Tensor]  # by the names in the file, on the CPU
    meta: dict = field(default_factory=dict)  # MMSegmentation's metadata beside `state_dict`
    prefix: str = ""  # was before all names in `tensors`, and is removed
    left_out: tuple[str, ...] = ()  # names in the file without that prefix


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a safetensors file, or a `torch.save` file that contains only plain data, whatever its suffix.

    The state dict is the content itself, its entry `state_dict`, or what else in it is a state dict, at most
    three dictionaries deep. If there are several, as of a model and of its average, all are returned with the
    name of each before its tensors' names. Optimizer states and the like are ignored.
    """
    if not path.is_file():
        raise CheckpointError(f"there is no file {path}")
    if path.stat().st_size == 0:
        raise CheckpointError(f"{path} is empty; copy or download it again")
    if kind := other_kind(path):
        raise CheckpointError(f"{path} is {kind}")
    content = _read_safetensors(path) if is_safetensors(path) else _read_pickled(path)
    meta = content.get("meta") if isinstance(content, dict) else None
    tensors = dict(_state_dict(path, content))
    if "" in tensors:
        raise CheckpointError(f"{path} holds a tensor without a name; save the model's state_dict() again")
    return Checkpoint(path, tensors, meta if isinstance(meta, dict) else {})


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except SafetensorError as error:
        raise CheckpointError(
            f"{path} is not a readable safetensors file ({error}); copy or download it again"
        ) from error


def _read_pickled(path: Path) -> Any:
    """Load with `weights_only`: unpickling anything else may run code."""
    try:
        with (
            path.open("rb") as file,
            warnings.catch_warnings(),
        ):  # given a path, torch.load would go by its suffix
            warnings.simplefilter("ignore")  # about odd files, which are refused in the next line
            return torch.load(file, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:
        if found := re.search(r"GLOBAL (\S+)", str(error)):
            raise CheckpointError(
                f"{path} holds Python objects ({found[1]}), and reading them could run code that came with "
                "the file; only plain tensors are read. If you trust it, load it in Python and save its "
                "state_dict() by itself"
            ) from error
        raise CheckpointError(
            f"{path} is broken or no checkpoint of PyTorch ({type(error).__name__}); copy or download it "
            "again, or give a state dict that torch.save or safetensors wrote"
        ) from error


def _state_dict(path: Path, content: Any) -> dict[str, Tensor]:
    """Return the only state dict in a file's content, or all of them in one."""
    if not isinstance(content, dict):
        raise CheckpointError(
            f"{path} holds a {type(content).__name__}, not a state dict; save the model's state_dict()"
        )
    if _is_state_dict(content):
        return content
    if "state_dict" in content:
        return _state_dict(path, content["state_dict"])
    found = _state_dicts(content, _DEPTH)
    if len(found) == 1:
        return found.popitem()[1]
    if found:
        return {
            f"{place}.{name}": tensor for place, tensors in found.items() for name, tensor in tensors.items()
        }
    if wrapper := next((name for name in WRAPPERS if isinstance(content.get(name), dict)), None):
        return _state_dict(path, content[wrapper])  # says what is wrong in it
    if not content:
        raise CheckpointError(f"{path} holds no tensors; save the model's state_dict()")
    others = [
        f"{name} ({type(value).__name__})"
        for name, value in content.items()
        if not (isinstance(name, str) and isinstance(value, Tensor))
    ]
    remedy = (
        "give weights that are not quantised"
        if "_packed_params" in others[0]
        else "save the model's state_dict() by itself"
    )
    raise CheckpointError(f"{path} is no state dict, as it holds {some(others)}; {remedy}")


def _state_dicts(content: dict, depth: int) -> dict[str, dict[str, Tensor]]:
    """Return the state dicts in a dictionary, by their place in it, as in `model` or `ema.state_dict`."""
    found: dict[str, dict[str, Tensor]] = {}
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, dict) or _NO_MODEL.search(name):
            continue
        if _is_state_dict(value):
            found[name] = value
        elif depth > 1:
            inside = {"state_dict": value["state_dict"]} if "state_dict" in value else value
            found |= {f"{name}.{place}": one for place, one in _state_dicts(inside, depth - 1).items()}
    return found


def _is_state_dict(value: object) -> bool:
    return (
        isinstance(value, dict)
        and bool(value)
        and all(isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in value.items())
    )
