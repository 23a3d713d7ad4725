# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One folder with all that a run needs: sources, tests, configuration, checkpoint, data."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from gpu.steps import HELPERS, ROOT, TESTS

MOST_BYTES = 60_000_000
MANIFEST = "pack.json"
_SOURCES = ("dcfm_ros", "config", "scripts/gpu", "scripts/gpu_run.py", "LICENSE", "docs/gpu.md", *TESTS, *HELPERS)
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", "engines")


def pack(folder: Path, data: Sequence[str], config: str, init: str) -> str:
    """Fill the new `folder`; returns what to tell. data: NAME=PATH of each data set; config: of the training; init: model
    that it starts from, empty for the configuration's. A ValueError where it is too large; the folder then stays."""
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty: give a new folder")
    for name in _SOURCES:
        _copy(ROOT / name, folder / name)
    known = {"commit": commit(), "data": [], "config": config, "init": init}
    for one in data:
        name, _, path = one.partition("=")
        _copy(Path(path), folder / "data" / name)
        known["data"].append(f"{name}=data/{name}")
    for key, place in (("config", "train.yaml"), ("init", "init")):
        path = Path(known[key])
        is_own = not path.is_absolute() and (ROOT / path).exists()   # lies at the same place in the pack
        if known[key] and not is_own and path.exists():              # else it is a built-in model's name
            _copy(path, folder / place)
            known[key] = place
    (folder / MANIFEST).write_text(json.dumps(known, indent=1) + "\n")
    size = _bytes(folder)
    if size > MOST_BYTES:
        largest = max(folder.iterdir(), key=_bytes)
        raise ValueError(f"{folder} has {size / 1e6:.0f} MB, more than {MOST_BYTES / 1e6:.0f}: {_bytes(largest) / 1e6:.0f} MB "
                         f"are in {largest.name}; pack less data or a smaller model")
    return f"{folder}: {size / 1e6:.1f} MB. There: python3 scripts/gpu_run.py --out results"


def packed() -> dict:
    """What the pack that these sources lie in was made with; empty elsewhere."""
    path = ROOT / MANIFEST
    return json.loads(path.read_text()) if path.is_file() else {}


def commit() -> str:
    """Of these sources; empty where they come from no repository."""
    if found := packed().get("commit"):
        return found
    try:
        done = subprocess.run(["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"], cwd=ROOT,
                              capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _copy(origin: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if origin.is_dir():
        shutil.copytree(origin, place, ignore=_LEFT_OUT, copy_function=shutil.copyfile)   # not its rights: data may be read-only
    else:
        shutil.copyfile(origin, place)


def _bytes(path: Path) -> int:
    return sum(file.stat().st_size for file in _files(path))


def _files(path: Path) -> Iterable[Path]:
    return (file for file in path.rglob("*") if file.is_file()) if path.is_dir() else (path,)
