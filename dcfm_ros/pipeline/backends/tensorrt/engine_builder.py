# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Builds the engines of a model in another process and loads them from the cache."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from dcfm_ros import environment
from dcfm_ros.files import atomic_directory
from dcfm_ros.model.build import Model
from dcfm_ros.model.folder import loaded, save_model
from dcfm_ros.model.onnx_export import is_per_frame
from dcfm_ros.model.stored import AnyModel
from dcfm_ros.pipeline.backends.base import Backend, BackendError, Sharing
from dcfm_ros.pipeline.backends.cuda.backend import CUDABackend
from dcfm_ros.pipeline.backends.hot_swap import BuildStopped, SwappingBackend
from dcfm_ros.pipeline.backends.tensorrt.api import tensorrt
from dcfm_ros.pipeline.backends.tensorrt.backend import TensorRTBackend
from dcfm_ros.pipeline.backends.tensorrt.build_program import key_of
from dcfm_ros.pipeline.backends.tensorrt.engine_files import DamagedEngines, EngineCache

_log = logging.getLogger(__name__)
PROGRAM = (sys.executable, "-m", "dcfm_ros.pipeline.backends.tensorrt.build_program")
_LONGEST_LINE = 4096
_KEPT_LINES = 5  # of the process's other output, for its error message
_GRACE_S = 5.0  # for the process to terminate


def make(
    model: AnyModel, device: str, precision: str, sharing: Sharing = Sharing.NONE, live: bool = False
) -> Backend:
    """Create the TensorRT backend of a model, for images of any size. live: use the CUDA backend while
    engines are built"""
    model, precision = loaded(model), "f16" if precision == "auto" else precision
    tensorrt()  # raises if it is not installed
    builder = EngineBuilder(
        model,
        precision,
        device,
        EngineCache(model.folder),
        load=lambda folder: TensorRTBackend(folder, device),
        key=lambda size: key_of(model, size, precision, device),
    )
    return SwappingBackend(
        "tensorrt",
        device,
        precision,
        is_per_frame(model),
        builder,
        (lambda: CUDABackend(model, device, precision)) if live else None,
    )


class EngineBuilder:
    """Builder (see `hot_swap.Builder`) of a model's engines on one GPU. `build` is for one thread at a time,
    all other methods are thread-safe."""

    def __init__(
        self,
        model: Model,
        precision: str,
        device: str,
        cache: EngineCache,
        load: Callable[[Path], Backend],
        key: Callable[[tuple[int, int]], str],
        program: Sequence[str] = PROGRAM,
    ):
        """load: creates the backend of a folder of engines; key: returns that folder's name for an image
        size"""
        self._model, self._precision, self._device = model, precision, device
        self._cache, self._load, self._key, self._program = cache, load, key, program
        self._process: subprocess.Popen | None = None
        self._stopped = False
        self._lock = threading.Lock()

    def find(self, size: tuple[int, int]) -> Backend | None:
        folder = self._cache.find(self._key(size))
        if folder is None:
            return None
        try:
            return self._ready(folder, size)
        except DamagedEngines as error:  # for example after a driver update, which the key does not cover
            self._cache.discard(folder, error)
            return None

    def build(self, size: tuple[int, int], report: Callable[[str], None]) -> Backend:
        folder = self._cache.new(self._key(size))
        # This process owns the folders, so that nothing is left if the program is killed.
        with (
            tempfile.TemporaryDirectory(prefix="dcfm_model_") as model_folder,
            atomic_directory(folder) as part,
        ):
            save_model(model_folder, self._model)  # as loaded; its original folder may have changed
            self._run(
                [
                    *self._program,
                    model_folder,
                    str(part),
                    "--size",
                    f"{size[0]}x{size[1]}",
                    "--precision",
                    self._precision,
                    "--device",
                    self._device,
                    "--name",
                    str(self._model.folder or ""),
                ],
                report,
            )
        return self._ready(folder, size)

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            process = self._process
        if process is not None:
            process.terminate()
            _end(process)

    def _ready(self, folder: Path, size: tuple[int, int]) -> Backend:
        """Load the backend and run it once, so that the first frame does not pay for the first run."""
        backend = self._load(folder)
        shallow = backend.shallow(np.zeros((*size, 3), np.uint8))
        backend.mask(shallow, [backend.deep(shallow)], size)
        return backend

    def _run(self, command: list[str], report: Callable[[str], None]) -> None:
        """Run the program; raises BackendError with its output if it fails."""
        with self._lock:
            if self._stopped:
                raise BuildStopped
            # an interrupt is for this process to handle
            self._process = process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                env=environment.for_programs(),
                start_new_session=True,
            )
        output: deque[str] = deque(maxlen=_KEPT_LINES)
        outcome: dict[str, str] = {}
        assert process.stdout is not None  # a pipe
        try:
            while line := process.stdout.readline(_LONGEST_LINE):
                message = _message(line)
                if "progress" in message:
                    report(str(message["progress"]))
                elif message:
                    outcome = message
                elif line.strip():
                    output.append(line.strip())
                    _log.debug("engine builder: %s", line.rstrip())
        finally:
            self._reap(process)
        if self._stopped:
            raise BuildStopped
        if process.returncode != 0 or "done" not in outcome:
            reason = (
                outcome.get("error") or f"exit code {process.returncode}: {' | '.join(output) or 'no output'}"
            )
            raise BackendError(f"engines could not be built: {reason}")

    def _reap(self, process: subprocess.Popen) -> None:
        """Close the pipes of a process whose output has ended, and wait for its exit."""
        assert process.stdin is not None and process.stdout is not None  # pipes
        process.stdin.close()
        _end(process)
        process.stdout.close()
        with self._lock:
            self._process = None


def _end(process: subprocess.Popen) -> None:
    """Wait for a process to exit; kill it after the grace period."""
    try:
        process.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _message(line: str) -> dict:
    """Return the JSON object of a line; empty if the line is not one."""
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}
