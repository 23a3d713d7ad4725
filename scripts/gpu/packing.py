# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One folder with all that a run needs: sources, tests, configuration, checkpoint, data."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from gpu.steps import HELPERS, ROOT, TESTS

MOST_BYTES = 60_000_000
MANIFEST = "pack.json"
_SOURCES = (
    "dcfm_ros",
    "config",
    "scripts/gpu",
    "scripts/gpu_run.py",
    "LICENSE",
    "docs/gpu.md",
    *TESTS,
    *HELPERS,
)
_LEFT_OUT = ("__pycache__", "engines")


def pack(folder: Path, data: Mapping[str, str], config: str, init: str) -> int:
    """Fill the new `folder`; returns its bytes. data: path of each data set by name; config: of the training;
    init: model that it starts from, empty for the configuration's. A ValueError where it would be too large,
        before anything is copied."""
    copies = [(ROOT / name, Path(name)) for name in _SOURCES]
    known = {
        "commit": commit(),
        "data": {name: f"data/{name}" for name in data},
        "config": config,
        "init": init,
    }
    copies += [(Path(path), Path("data") / name) for name, path in data.items()]
    for key, place in (("config", "train.yaml"), ("init", "init")):
        if (
            known[key] and Path(known[key]).exists()
        ):  # else it is a built-in model's name, or a path within the sources
            copies.append((Path(known[key]), Path(place)))
            known[key] = place
    _require_room(folder, copies)
    for origin, place in copies:
        _copy(origin, folder / place)
    (folder / MANIFEST).write_text(json.dumps(known, indent=1) + "\n")
    return _bytes(folder)


def _require_room(folder: Path, copies: Sequence[tuple[Path, Path]]) -> None:
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty: give a new folder")
    for origin, _ in copies:
        if folder.resolve().is_relative_to(origin.resolve()):
            raise ValueError(f"{folder} lies in {origin}, which is packed: give a folder elsewhere")
    sizes = {origin: _bytes(origin) for origin, _ in copies}
    if (size := sum(sizes.values())) > MOST_BYTES:
        largest = max(sizes, key=sizes.get)
        raise ValueError(
            f"{size / 1e6:.0f} MB are more than {MOST_BYTES / 1e6:.0f}, {sizes[largest] / 1e6:.0f} MB are in "
            f"{largest}: pack less data or a smaller model"
        )


def packed() -> dict:
    """What the pack that these sources lie in was made with; empty elsewhere."""
    path = ROOT / MANIFEST
    return json.loads(path.read_text()) if path.is_file() else {}


def unpacked(folder: Path) -> dict:
    """Configuration, model and data of a pack, as a training there has them."""
    known = json.loads((folder / MANIFEST).read_text())
    return {
        "config": str(folder.resolve() / known["config"]),
        "init": str(folder.resolve() / known["init"]) if known["init"] == "init" else known["init"],
        "data": tuple(f"{name}={folder.resolve() / path}" for name, path in known["data"].items()),
    }


def commit() -> str:
    """Of these sources; empty where they come from no repository."""
    if found := packed().get("commit"):
        return found
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _copy(origin: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if origin.is_dir():
        # Without access rights: data may be read-only.
        shutil.copytree(
            origin, place, ignore=shutil.ignore_patterns(*_LEFT_OUT), copy_function=shutil.copyfile
        )
    else:
        shutil.copyfile(origin, place)


def _bytes(path: Path) -> int:
    if not path.is_dir():
        return path.stat().st_size
    return sum(
        file.stat().st_size
        for file in path.rglob("*")
        if file.is_file() and not set(file.parts) & set(_LEFT_OUT)
    )
