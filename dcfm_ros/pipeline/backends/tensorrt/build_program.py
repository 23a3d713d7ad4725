# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Builds the engines of a model; run as a program by a node that keeps running meanwhile:

    python -m dcfm_ros.pipeline.backends.tensorrt.build_program MODEL OUT --size HxW --precision f16 --device
    cuda

Each line of its output is JSON: {"progress": "..."} during the build, {"done": FOLDER} or {"error": "..."} at
the end. It also exits when its standard input is closed, that is, with the process that started it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from dcfm_ros.model.build import Model
from dcfm_ros.model.folder import load_model
from dcfm_ros.model.onnx_export import Part, write_onnx
from dcfm_ros.pipeline.backends.base import BackendError
from dcfm_ros.pipeline.backends.tensorrt.api import Engine, build_engine, tensorrt
from dcfm_ros.pipeline.backends.tensorrt.backend import EngineStream
from dcfm_ros.pipeline.backends.tensorrt.engine_files import engine_key
from dcfm_ros.pipeline.export.folder import Run, write_export
from dcfm_ros.pipeline.export.record import ExportRecord
from dcfm_ros.trusted_folders import close

_NICENESS = 10  # the masks of the waiting node have priority


def build_engines(
    model: Model,
    name: str,
    folder: Path,
    size: tuple[int, int],
    precision: str,
    device: str,
    report: Callable[[str], None],
) -> ExportRecord:
    """Build engines for images of size (H, W) on this GPU, compare them with PyTorch, and write the folder
    atomically.

    report(what): called with the progress in words, at most once per percent. Raises BackendError,
    ExportError, OSError.
    """
    version, gpu = tensorrt().__version__, gpu_name(device)

    def write(parts: list[Part], folder: Path, precision: str) -> tuple[list[Path], Run]:
        files = []
        for number, part in enumerate(parts, start=1):
            show = _OnChange(lambda what: report(f"{part.name} ({number} of {len(parts)}): {what}"))  # noqa: B023
            with tempfile.TemporaryDirectory() as aside:
                show("ONNX")
                onnx_file = write_onnx(part, Path(aside))
                plan = build_engine(onnx_file, lambda phase, share: show(f"{phase} {share:.0%}"))  # noqa: B023
            files.append(folder / f"{part.name}.engine")
            files[-1].write_bytes(plan)
        report("comparing with PyTorch")
        return files, lambda part: run_once(part, folder, device)

    with torch.cuda.device(device):
        record = write_export(
            folder, "tensorrt", write, model, name, size, precision, {"tensorrt": version, "gpu": gpu}
        )
    close(folder)  # engines that others can write to are not read
    return record


def run_once(part: Part, folder: Path, device: str) -> np.ndarray:
    """Run an engine on its part's example and return the output."""
    engine = Engine((folder / f"{part.name}.engine").read_bytes(), part.name)
    stream = EngineStream(device, priority=0)
    with stream.open(part.name):
        return stream.download(
            stream.run(
                engine, **{name: stream.upload(tensor.numpy()) for name, tensor in part.inputs.items()}
            )
        )


def gpu_name(device: str) -> str:
    """Return name and compute capability of a GPU: an engine runs on this kind of GPU only."""
    if not torch.cuda.is_available():
        raise BackendError(
            "TensorRT needs an NVIDIA GPU, and this PyTorch sees none: export engines on the robot itself"
        )
    properties = torch.cuda.get_device_properties(device)
    return f"{properties.name} {properties.major}.{properties.minor}"


def key_of(model: Model, size: tuple[int, int], precision: str, device: str) -> str:
    """Return the cache key of a model's engines on this machine."""
    return engine_key(model, size, precision, tensorrt().__version__, gpu_name(device))


class _OnChange:
    """Passes on a text only if it differs from the previous one."""

    def __init__(self, say: Callable[[str], None]):
        self._say, self._last = say, ""

    def __call__(self, what: str) -> None:
        if what != self._last:
            self._last = what
            self._say(what)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Build the TensorRT engines of a model.")
    parser.add_argument("model")
    parser.add_argument("out")
    parser.add_argument("--name", required=True, help="of the model, for the record")
    parser.add_argument("--size", required=True)
    parser.add_argument("--precision", required=True)
    parser.add_argument("--device", required=True)
    options = parser.parse_args(arguments)
    os.nice(_NICENESS)
    height, width = map(int, options.size.split("x"))
    try:
        build_engines(
            load_model(options.model),
            options.name,
            Path(options.out),
            (height, width),
            options.precision,
            options.device,
            lambda what: _say(progress=what),
        )
    except Exception as error:  # the waiting process has to learn of any error
        _say(error=str(error) or type(error).__name__)
        return 1
    _say(done=options.out)
    return 0


def _say(**what: str) -> None:
    print(json.dumps(what), flush=True)


def _end_with_parent() -> None:
    """Exit this process when its standard input is closed."""
    sys.stdin.buffer.read()
    os._exit(3)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, name="dcfm-parent", daemon=True).start()
    sys.exit(main())
