# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Folders of TensorRT engines: `shallow.engine`, `deep.engine`, `align.engine`, `decoder.engine` and
`export.yaml`; their cache.

A folder of the cache is named by a key of all that an engine depends on. It lies in `engines/` beside the
model's weights or, where nothing can be written there, in the user's cache folder; it appears whole or not at
all.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from pathlib import Path
from typing import NamedTuple

from dcfm_ros.model.alignment import Alignment
from dcfm_ros.model.build import Model
from dcfm_ros.model.inference import fold
from dcfm_ros.model.onnx_export import ExportError, is_per_frame
from dcfm_ros.pipeline.backends.base import BackendError
from dcfm_ros.pipeline.backends.network_cache import forget_oldest, network_key, user_cache
from dcfm_ros.pipeline.export.record import RECORD_FILE, read_record

_log = logging.getLogger(__name__)
_KEPT = 16  # folders of engines in each place; the least recently used go


class DamagedEngines(BackendError):
    """Engines that have to be built again."""


class Engines(NamedTuple):
    """What a folder of engines holds."""

    files: dict[str, Path]  # by part
    size: tuple[int, int]  # (H, W) of the image
    precision: str
    per_frame: bool


def read_engines(folder: Path) -> Engines:
    """The engines of a folder, their checksums compared; raises DamagedEngines where they are not as they
    were written."""
    try:
        record = read_record(folder)
        if record.format != "tensorrt":
            raise DamagedEngines(f"{folder} holds {record.format} files, no TensorRT engines")
        for name, digest in record.sha256.items():
            if hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest:
                raise DamagedEngines(f"{folder / name} is damaged: it is not what was written")
    except (OSError, ExportError) as error:
        raise DamagedEngines(f"{folder} holds no readable engines: {error}") from error
    files = {Path(name).stem: folder / name for name in record.sha256}
    return Engines(files, record.size, record.precision, record.per_frame)


def engine_key(model: Model, size: tuple[int, int], precision: str, tensorrt_version: str, gpu: str) -> str:
    """Another weight, setting, code, shape, precision, TensorRT or GPU gives another key."""
    shallow, deep, decoder = fold(model)
    parts = (shallow, deep) if is_per_frame(model) else (shallow, deep, Alignment(), decoder)
    keys = [network_key(part, size, precision, tensorrt_version, gpu) for part in parts]
    return hashlib.sha256(" ".join(keys).encode()).hexdigest()[:32]


class EngineCache:
    """Folders of engines by their key."""

    def __init__(self, model_folder: Path | None):
        """model_folder: where the model was loaded from, if anywhere."""
        self._places = [] if model_folder is None else [model_folder / "engines"]
        self._places.append(user_cache("tensorrt"))

    def find(self, key: str) -> Path | None:
        """The folder of that key, whole; a damaged one is removed."""
        for folder in (place / key for place in self._places):
            if not folder.is_dir():
                continue
            try:
                read_engines(folder)
            except DamagedEngines as error:
                self.discard(folder, error)
                continue
            if os.access(folder, os.W_OK):
                os.utime(folder)  # used
            return folder
        return None

    def new(self, key: str) -> Path:
        """Where a folder of that key can be written."""
        for place in self._places:
            try:
                place.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                _log.info("engines cannot lie in %s: %s", place, error)
                continue
            if os.access(place, os.W_OK):
                forget_oldest(place, RECORD_FILE, _KEPT - 1)
                return place / key
        places = " nor into ".join(map(str, self._places))
        raise BackendError(
            f"engines can be written neither into {places}: make one writable, or set XDG_CACHE_HOME"
        )

    def discard(self, folder: Path, error: Exception) -> None:
        """Remove a folder that is of no use."""
        _log.warning("engines are built again: %s", error)
        shutil.rmtree(folder, ignore_errors=True)
