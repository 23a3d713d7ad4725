# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the caches of compiled networks share: where they lie, what a network is known by, and that they stay
small."""

from __future__ import annotations

import hashlib
import inspect
import os
import shutil
import time
from pathlib import Path

import torch

from dcfm_ros import environment

_A_DAY_S = 86400


def user_cache(kind: str) -> Path:
    """`dcfm_ros/<kind>` in the user's cache folder; where there is none, a path that cannot be made."""
    environment.prepare()
    return (environment.user_cache() or Path(os.devnull)) / "dcfm_ros" / kind


def network_key(part: torch.nn.Module, *facts: object) -> str:
    """A name for this network under these facts (shapes, versions): another fact, weight, module or code
    gives another."""
    digest = hashlib.sha256(f"{part} {facts} {torch.__version__}".encode())
    kinds = {type(module) for module in part.modules()}
    for file in sorted({inspect.getfile(kind) for kind in kinds if kind.__module__.startswith("dcfm_ros.")}):
        digest.update(Path(file).read_bytes())  # what `forward` computes does not show in the weights
    for name, tensor in [*part.named_parameters(), *part.named_buffers()]:
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()[:32]


def forget_oldest(cache: Path, marker: str, kept: int) -> None:
    """Of the folders in a cache that hold a file `marker`, keep those whose times are the latest. What killed
    processes have left of unfinished ones goes after a day."""
    entries = sorted(
        ((path.stat().st_mtime, path) for path in cache.iterdir() if path.is_dir()), reverse=True
    )
    finished = [path for _, path in entries if not path.name.startswith(".") and (path / marker).is_file()]
    left = [path for time_s, path in entries if path.name.startswith(".") and time_s < time.time() - _A_DAY_S]
    for path in finished[kept:] + left:
        shutil.rmtree(path, ignore_errors=True)
