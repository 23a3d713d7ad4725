# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ONNX files of a run of the tests: each takes seconds to write, and is written once."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from dcfm_ros.files import atomic_directory
from dcfm_ros.pipeline.backends.network_cache import network_key


def keep_onnx(patch: pytest.MonkeyPatch, module: ModuleType) -> None:
    """Let `write_onnx` of a module take files that it has written before, for the same network and shapes, in
    this process or in another one with the same caches."""
    write_onnx, caches = module.write_onnx, Path(os.environ["XDG_CACHE_HOME"])

    def once(part, where):
        key = network_key(part.module, [(tensor.dtype, tensor.shape) for tensor in part.inputs.values()])
        kept = caches / "onnx" / key / f"{part.name}.onnx"
        kept.parent.parent.mkdir(parents=True, exist_ok=True)
        with open(kept.parent.with_suffix(".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # what another process writes is waited for
            if not kept.exists():
                with atomic_directory(kept.parent) as folder:
                    write_onnx(part, folder)
        return Path(shutil.copy(kept, where / kept.name))

    patch.setattr(module, "write_onnx", once)
