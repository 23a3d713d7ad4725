# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Common parts of the caches of compiled networks: location, trust, digests, keys, and eviction."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import shutil
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from dcfm_ros import environment
from dcfm_ros.files import sha256_of
from dcfm_ros.plain_files import read_json
from dcfm_ros.trusted_folders import why_untrusted

if TYPE_CHECKING:
    import torch

DIGESTS_FILE = "digests.json"
_A_DAY_S = 86400


def user_cache(kind: str) -> Path:
    """Return `dcfm_ros/<kind>` in the user's cache folder, or in a private one if others can write there;
    without either, a path that cannot be created."""
    environment.prepare()
    if (usual := environment.user_cache()) is None:
        return Path(os.devnull) / kind
    folder = usual / "dcfm_ros" / kind
    if why := why_untrusted(folder):
        place = environment.temporary_folder()
        folder = (Path(os.devnull) if place is None else place / "cache") / "dcfm_ros" / kind
        instead = f"networks are cached in {place}" if place else "networks are not cached"
        environment.say_once(f"{why}: {instead}; take that right from others, or remove the folder")
    return folder


def write_digests(folder: Path) -> None:
    """Write the digests of a folder's files beside them."""
    digests = {path.name: sha256_of(path) for path in sorted(folder.iterdir())}
    (folder / DIGESTS_FILE).write_text(json.dumps(digests))


def check_digests(folder: Path) -> None:
    """Raise ValueError if a folder's files are not those whose digests were written, or FileNotFoundError if
    none were."""
    digests = read_json(folder / DIGESTS_FILE)
    there = {path.name for path in folder.iterdir()}
    if not isinstance(digests, dict) or not digests.keys() <= there:
        raise ValueError(f"{folder} lacks files that were written")
    for name, digest in digests.items():
        if sha256_of(folder / name) != digest:
            raise ValueError(f"{folder / name} is damaged: it is not what was written")


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
