# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Common parts of the caches of compiled networks: location, keys, and eviction."""

from __future__ import annotations

import hashlib
import inspect
import os
import shutil
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from dcfm_ros import environment

if TYPE_CHECKING:
    import torch

_A_DAY_S = 86400


def user_cache(kind: str) -> Path:
    """Return `dcfm_ros/<kind>` in the user's cache folder; without one, a path that cannot be created."""
    environment.prepare()
    return (environment.user_cache() or Path(os.devnull)) / "dcfm_ros" / kind


def network_key(part: torch.nn.Module, *facts: object) -> str:
    """Return the cache key of a network. It depends on the modules, their code and weights, and on `facts`
    (shapes, versions)."""
    digest = hashlib.sha256(f"{part} {facts} {version('torch')}".encode())
    kinds = {type(module) for module in part.modules()}
    for file in sorted({inspect.getfile(kind) for kind in kinds if kind.__module__.startswith("dcfm_ros.")}):
        digest.update(Path(file).read_bytes())  # the weights do not tell what `forward` computes
    for name, tensor in [*part.named_parameters(), *part.named_buffers()]:
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()[:32]


def forget_oldest(cache: Path, marker: str, kept: int) -> None:
    """Keep the `kept` most recently used folders in a cache that contain a file `marker`. Unfinished ones
    left by killed processes are removed after a day."""
    entries = sorted(
        ((path.stat().st_mtime, path) for path in cache.iterdir() if path.is_dir()), reverse=True
    )
    finished = [path for _, path in entries if not path.name.startswith(".") and (path / marker).is_file()]
    left = [path for time_s, path in entries if path.name.startswith(".") and time_s < time.time() - _A_DAY_S]
    for path in finished[kept:] + left:
        shutil.rmtree(path, ignore_errors=True)
