# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Graphs on disk: converted when a model is used for the first time, read at later starts, which then need no
PyTorch."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import weakref
from functools import cache, cached_property
from pathlib import Path

import openvino

import dcfm_ros.model
from dcfm_ros import environment
from dcfm_ros.files import atomic_directory, sha256_of
from dcfm_ros.model.stored import AnyModel, StoredModel
from dcfm_ros.model.versions import installed
from dcfm_ros.pipeline.backends.network_cache import check_digests, forget_oldest, user_cache, write_digests
from dcfm_ros.pipeline.backends.openvino.graphs import STRUCTURE_FILE, Graphs, Structure
from dcfm_ros.pipeline.backends.openvino.int8 import int8_folder, int8_graphs
from dcfm_ros.trusted_folders import close, make_closed, why_untrusted

_log = logging.getLogger(__name__)
_MAX_MODELS = 20  # kept; the least recently used are removed. A small one has 20 MB


def cache_folder() -> Path:
    return user_cache("openvino")


class GraphStore:
    """The graphs of one model, which it converts if that has not been done. One thread at a time calls
    `graphs`."""

    def __init__(self, model: AnyModel, int8: bool = False):
        """int8: those that were quantised by an export and lie with the model"""
        self._model = model
        self._int8 = int8_folder(model) if int8 else None
        self._temporary: Path | None = None  # where nothing can be cached
        if self._int8 is None:
            self._folder(self._key)  # what is wrong with a model is found here

    def graphs(self, core: openvino.Core, size: tuple[int, int]) -> Graphs:
        """Return the graphs for images of size (H, W)."""
        if self._int8 is not None:
            return int8_graphs(self._int8, core, size)
        folder, structure = self.folder(size)
        try:
            return Graphs(core, folder, size)
        except RuntimeError as error:
            _discard(folder, error)
        return Graphs(core, self._folder(folder.name, None if structure.any_size else size)[0], size)

    def folder(self, size: tuple[int, int]) -> tuple[Path, Structure]:
        """Return the folder of the converted graphs for images of one size, or of any."""
        folder, structure = self._folder(self._key)
        return (
            (folder, structure)
            if structure.any_size
            else self._folder(f"{self._key}_{size[0]}x{size[1]}", size)
        )

    @cached_property
    def _key(self) -> str:
        """Depends on the model's settings, code and weights, and on what converts it."""
        if isinstance(self._model, StoredModel):
            digest = self._model.sha256
        else:
            from dcfm_ros.model.folder import model_sha256

            digest = model_sha256(self._model)
        return hashlib.sha256(f"{digest} {_code()} {installed(['torch'])}".encode()).hexdigest()[:32]

    def _folder(self, key: str, size: tuple[int, int] | None = None) -> tuple[Path, Structure]:
        """Return the folder of the graphs for one size, or for any. Converts the model if there is none."""
        for place in (cache_folder(), self._temporary):
            if place is not None and (structure := _read(place / key)) is not None:
                return place / key, structure
        folder = self._converted(key, size)
        return folder, Structure.read(folder)

    def _converted(self, key: str, size: tuple[int, int] | None) -> Path:
        """Convert the model; return where it is, which is a temporary folder if nothing can be cached."""
        folder = cache_folder() / key
        try:
            make_closed(folder.parent)
            with atomic_directory(folder) as part:  # also with two processes at once
                self._convert(part, size)
                write_digests(part)
                close(part)
            forget_oldest(folder.parent, STRUCTURE_FILE, _MAX_MODELS)
            return folder
        except (OSError, RuntimeError) as error:  # OpenVINO has the latter for a full disk
            _say_uncached(folder.parent, error)
        if self._temporary is None:
            self._temporary = Path(tempfile.mkdtemp(prefix="dcfm_ros_"))
            weakref.finalize(self, shutil.rmtree, self._temporary, ignore_errors=True)
        with atomic_directory(self._temporary / key) as part:
            self._convert(part, size)
            write_digests(part)
        return self._temporary / key

    def _convert(self, out: Path, size: tuple[int, int] | None) -> None:
        """Convert the model into a folder: in a process of its own, as PyTorch would stay in this one, or
        here, where PyTorch is loaded already."""
        model = self._model
        if (
            isinstance(model, StoredModel)
            and "torch" not in sys.modules
            and _converts(model.folder, out, size)
        ):
            return
        from dcfm_ros.model.folder import loaded
        from dcfm_ros.pipeline.backends.openvino.conversion import convert_model

        convert_model(loaded(model), out, size)


def _converts(model: Path, out: Path, size: tuple[int, int] | None) -> bool:
    """Convert a model in another process. False if that failed: the conversion in this one then tells why.

    Raises MemoryError if the kernel killed it: this process would be the next one.
    """
    program = [sys.executable, "-m", "dcfm_ros.pipeline.backends.openvino.conversion", str(model), str(out)]
    try:
        ended = subprocess.run(
            [*program, *map(str, size or ())],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={**environment.for_programs(), "OMP_NUM_THREADS": "1"},  # this process compiles meanwhile
        )
    except OSError:
        return False
    if ended.returncode == -signal.SIGKILL:
        raise MemoryError(
            f"the conversion of {model} for OpenVINO was killed, as the kernel does where memory is short: "
            "it takes several hundred MB, once for each model. Give this process more memory for its first "
            "start, or use the backend torch"
        )
    return ended.returncode == 0


def _read(folder: Path) -> Structure | None:
    """Return what the folder contains, if it has been converted, by this user, and is as it was written."""
    try:
        if folder.is_dir() and (why := why_untrusted(folder, files=True)):
            raise ValueError(why)
        check_digests(folder)
        structure = Structure.read(folder)
        os.utime(folder)
        return structure
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, TypeError) as error:
        _discard(folder, error)
        return None


def _discard(folder: Path, error: Exception) -> None:
    _log.warning("cannot read the cached networks %s, converting again: %s", folder, error)
    shutil.rmtree(folder, ignore_errors=True)


def _say_uncached(folder: Path, error: Exception) -> None:
    cause = getattr(error.__cause__ or error, "strerror", None) or error
    if environment.prepare():  # otherwise it has already been reported that nothing can be cached
        environment.say_once(
            f"cannot cache the networks in {folder} ({cause}), so starts take longer: make room "
            "there, or set XDG_CACHE_HOME to a folder that can be written"
        )


@cache
def _code() -> str:
    """Digest of the code that weights pass on their way to graphs: weights do not tell what is computed."""
    conversion = Path(__file__).with_name("conversion.py")
    files = sorted([*Path(dcfm_ros.model.__file__).parent.glob("*.py"), conversion])
    return sha256_of(*files, before=openvino.__version__.encode())
