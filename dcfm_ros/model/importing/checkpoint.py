# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reading a foreign checkpoint without running anything that it may hold."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from dcfm_ros.model.folder import some


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be imported; the message names what is wrong and the remedy."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The state dict of a file."""

    path: Path
    tensors: dict[str, Tensor]                # by the names in the file, on the CPU
    meta: dict = field(default_factory=dict)  # what MMSegmentation keeps beside its `state_dict`


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a `.safetensors` file, or a file of `torch.save` that holds nothing but plain data.

    The state dict is the file itself or what it has under `state_dict`; optimizers and the like beside it are left.
    A `module.` before every name, which data-parallel training leaves, is removed.
    """
    if not path.is_file():
        raise CheckpointError(f"there is no file {path}")
    if path.stat().st_size == 0:
        raise CheckpointError(f"{path} is empty; copy or download it again")
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickled(path)
    meta = {}
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        if isinstance(content.get("meta"), dict):
            meta = content["meta"]
        content = content["state_dict"]
    _require_tensors(path, content)
    if all(name.startswith("module.") for name in content):
        content = {name.removeprefix("module."): tensor for name, tensor in content.items()}
    return Checkpoint(path, dict(content), meta)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except SafetensorError as error:
        raise CheckpointError(f"{path} is not a readable safetensors file ({error}); copy or download it again") from error


def _read_pickled(path: Path):
    """Never without `weights_only`: unpickling anything else may run code."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd files, which are refused in the next line
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001  a broken file may fail anywhere in the reader
        if found := re.search(r"GLOBAL (\S+)", str(error)):
            raise CheckpointError(
                f"{path} holds Python objects ({found[1]}), and reading them could run code that came with the file; only "
                "plain tensors are read. If you trust it, load it in Python and save its state_dict() alone") from error
        raise CheckpointError(
            f"{path} is broken or no checkpoint of PyTorch ({type(error).__name__}); copy or download it again, or give a "
            "state dict that torch.save or safetensors wrote") from error


def _require_tensors(path: Path, content) -> None:
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds a {type(content).__name__}, not a state dict; save the model's state_dict()")
    if not content:
        raise CheckpointError(f"{path} holds no tensors; save the model's state_dict()")
    others = [f"{name} ({type(value).__name__})" for name, value in content.items()
              if not (isinstance(name, str) and isinstance(value, Tensor))]
    if others:
        raise CheckpointError(f"{path} is no state dict, as it holds {some(others)}; a training checkpoint must have the "
                              "state dict under 'state_dict'")
