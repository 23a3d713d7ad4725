# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Model folders: `model.yaml` (configuration, training record) and `weights.safetensors`. Loading is
strict."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import torch
import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from dcfm_ros.files import atomic_files, unwritable
from dcfm_ros.model.build import Model, build_model
from dcfm_ros.model.model_yaml import CONFIG_FILE, WEIGHTS_FILE, ModelError
from dcfm_ros.model.stored import StoredModel


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
    return loaded(StoredModel(name))


def loaded(model: Model | StoredModel) -> Model:
    """Return the network of a model folder, as `load_model` does; a network is returned itself."""
    if not isinstance(model, StoredModel):
        return model
    network = build_model(model.config)
    try:
        tensors = load_file(model.weights)
    except SafetensorError as error:
        raise ModelError(
            f"{model.weights} is not a readable safetensors file ({error}): copy or export it again"
        ) from error
    _load_strictly(network, tensors, model.weights)
    network.folder = model.folder
    return network.eval()


def model_sha256(model: Model) -> str:
    """Return the digest of settings and weights, as a model folder would hold them."""
    return _tensors_digest(model, yaml.safe_dump(model.config.to_dict()).encode())


def tensors_sha256(model: Model) -> str:
    """Return the digest of the weights alone."""
    return _tensors_digest(model, b"")


def _tensors_digest(model: Model, before: bytes) -> str:
    digest = hashlib.sha256(before)
    for name, tensor in sorted(model.state_dict().items()):
        if not name.endswith("num_batches_tracked"):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()


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
        if not torch.isfinite(tensor.float()).all():
            raise ModelError(
                f"{source}: {key} holds values that are not finite: the training had failed, or the file is "
                "damaged; take an earlier checkpoint, or copy it again"
            )
    model.load_state_dict({k: v.float() for k, v in tensors.items()}, strict=False)


def some(names: Sequence[str]) -> str:
    """Return the first few of many names, cut where they are long, and the number of the others."""
    shown = ", ".join(name if len(name) <= 200 else f"{name[:197]}..." for name in names[:5]) or "none"
    return shown + (f" and {len(names) - 5} more" if len(names) > 5 else "")
