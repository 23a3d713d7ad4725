"""What the caches of compiled networks share: where they lie, what a network is known by, and that they stay small."""

from __future__ import annotations

import hashlib
import inspect
import os
import shutil
from pathlib import Path

import torch


def user_cache(kind: str) -> Path:
    """`dcfm_ros/<kind>` in the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dcfm_ros" / kind


def network_key(part: torch.nn.Module, *facts: object) -> str:
    """A name for this network under these facts (shapes, versions): another fact, weight, module or code gives another one."""
    digest = hashlib.sha256(f"{part} {facts} {torch.__version__}".encode())
    kinds = {type(module) for module in part.modules()}
    for file in sorted({inspect.getfile(kind) for kind in kinds if kind.__module__.startswith("dcfm_ros.")}):
        digest.update(Path(file).read_bytes())  # what `forward` computes does not show in the weights
    for name, tensor in [*part.named_parameters(), *part.named_buffers()]:
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()[:32]


def forget_oldest(cache: Path, marker: str, kept: int) -> None:
    """Of the folders in a cache that hold a file `marker`, keep those whose times are the latest."""
    newest_first = sorted(cache.glob(f"*/{marker}"), key=lambda path: path.parent.stat().st_mtime, reverse=True)
    for path in newest_first[kept:]:
        shutil.rmtree(path.parent, ignore_errors=True)
