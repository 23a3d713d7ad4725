"""Converted networks on disk: tracing one takes seconds, reading it back a fraction of one."""

from __future__ import annotations

import hashlib
import inspect
import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import Callable

import openvino
import torch

_log = logging.getLogger(__name__)
_KEPT = 200  # networks, ten for MiT-B0 and one input size; the least recently used go


def cache_folder() -> Path:
    """`dcfm_ros/openvino` in the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dcfm_ros" / "openvino"


def network_key(part: torch.nn.Module, shapes: list[tuple[int, ...]]) -> str:
    """A name for this network at these input shapes: another weight, shape, module, code or version gives another one."""
    digest = hashlib.sha256(f"{part} {shapes} {openvino.__version__} {torch.__version__}".encode())
    kinds = {type(module) for module in part.modules()}
    for file in sorted({inspect.getfile(kind) for kind in kinds if kind.__module__.startswith("dcfm_ros.")}):
        digest.update(Path(file).read_bytes())  # what `forward` computes does not show in the weights
    for name, tensor in [*part.named_parameters(), *part.named_buffers()]:
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()[:32]


def cached_network(core: openvino.Core, key: str, convert: Callable[[], openvino.Model]) -> openvino.Model:
    """The network of that key from disk, or converted and stored. A cache that cannot be used only costs time."""
    folder = cache_folder() / key
    try:
        if (folder / "network.xml").is_file():
            os.utime(folder)
            return core.read_model(folder / "network.xml")
    except (OSError, RuntimeError) as error:
        _log.warning("cannot read the cached network %s, converting again: %s", folder, error)
        shutil.rmtree(folder, ignore_errors=True)
    network = convert()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as part:
            openvino.save_model(network, Path(part) / "network.xml", compress_to_fp16=False)
            os.rename(part, folder)  # whole or not at all, also with two processes at once
            os.mkdir(part)           # for the context to remove
        _forget_oldest(folder.parent)
    except (OSError, RuntimeError) as error:
        _log.warning("cannot cache the network in %s: %s", folder, error)
    return network


def _forget_oldest(cache: Path) -> None:
    newest_first = sorted(cache.glob("*/network.xml"), key=lambda path: path.parent.stat().st_mtime, reverse=True)
    for path in newest_first[_KEPT:]:
        shutil.rmtree(path.parent, ignore_errors=True)
