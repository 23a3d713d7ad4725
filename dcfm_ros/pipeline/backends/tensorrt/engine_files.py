# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Folders of TensorRT engines: `shallow.engine`, `deep.engine`, `align.engine`, `decoder.engine` and
`export.yaml`; their cache.

A folder of the cache is named by a key of everything that an engine depends on. It is in `engines/` beside
the model's weights or, if that is not writable, in the user's cache folder, and is created atomically.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from pathlib import Path
from typing import NamedTuple

from dcfm_ros.files import sha256_of
from dcfm_ros.model.alignment import Alignment
from dcfm_ros.model.build import Model
from dcfm_ros.model.inference import fold
from dcfm_ros.model.onnx_export import ExportError, is_per_frame
from dcfm_ros.pipeline.backends.base import BackendError
from dcfm_ros.pipeline.backends.network_cache import forget_oldest, network_key, user_cache
from dcfm_ros.pipeline.export.record import RECORD_FILE, read_record
from dcfm_ros.trusted_folders import make_closed, why_untrusted

_log = logging.getLogger(__name__)
_MAX_FOLDERS = 16  # folders of engines in each location; the least recently used are removed


class DamagedEngines(BackendError):
    """Engines that are unusable and must be built again."""


class Engines(NamedTuple):
    """Contents of a folder of engines."""

    files: dict[str, Path]  # by part
    size: tuple[int, int]  # (H, W) of the image
    precision: str
    per_frame: bool


def read_engines(folder: Path) -> Engines:
    """Read a folder of engines and verify their checksums; raises DamagedEngines if they differ."""
    try:
        record = read_record(folder)
        if record.format != "tensorrt":
            raise DamagedEngines(f"{folder} holds {record.format} files, not TensorRT engines")
        for name, digest in record.sha256.items():
            if sha256_of(folder / name) != digest:
                raise DamagedEngines(f"{folder / name} is damaged: it is not what was written")
    except (OSError, ExportError) as error:
        raise DamagedEngines(f"{folder} holds no readable engines: {error}") from error
    files = {Path(name).stem: folder / name for name in record.sha256}
    return Engines(files, record.size, record.precision, record.per_frame)


def engine_key(model: Model, size: tuple[int, int], precision: str, tensorrt_version: str, gpu: str) -> str:
    """Return the cache key of a model's engines. It depends on weights, settings, code, shapes, precision,
    TensorRT version and GPU."""
    shallow, deep, decoder = fold(model)
    parts = (shallow, deep) if is_per_frame(model) else (shallow, deep, Alignment(), decoder)
    keys = [network_key(part, size, precision, tensorrt_version, gpu) for part in parts]
    return hashlib.sha256(" ".join(keys).encode()).hexdigest()[:32]


class EngineCache:
    """Cache of engine folders by key."""

    def __init__(self, model_folder: Path | None):
        """model_folder: the folder the model was loaded from, if any"""
        self._places = [] if model_folder is None else [model_folder / "engines"]
        self._places.append(user_cache("tensorrt"))

    def find(self, key: str) -> Path | None:
        """Return the intact folder of that key, or None; a damaged one is removed."""
        for folder in (place / key for place in self._places):
            if not folder.is_dir():
                continue
            if why := why_untrusted(folder, files=True):  # an engine runs what is in it
                _log.warning("engines in %s are not used, but built again elsewhere: %s", folder, why)
                continue
            try:
                read_engines(folder)
            except DamagedEngines as error:
                self.discard(folder, error)
                continue
            if os.access(folder, os.W_OK):
                os.utime(folder)  # marks it as recently used
            return folder
        return None

    def new(self, key: str) -> Path:
        """Return the path at which a folder of that key can be written."""
        for place in self._places:
            if why := why_untrusted(place) or (why_untrusted(place / key, files=True)):
                _log.info("engines are not stored in %s: %s", place, why)
                continue
            try:
                make_closed(place)
            except OSError as error:
                _log.info("engines cannot be stored in %s: %s", place, error)
                continue
            if os.access(place, os.W_OK):
                forget_oldest(place, RECORD_FILE, _MAX_FOLDERS - 1)
                return place / key
        places = " nor into ".join(map(str, self._places))
        raise BackendError(
            f"engines can be written neither into {places}: make one writable, or set XDG_CACHE_HOME"
        )

    def discard(self, folder: Path, error: Exception) -> None:
        """Remove an unusable folder."""
        _log.warning("engines are built again: %s", error)
        shutil.rmtree(folder, ignore_errors=True)
