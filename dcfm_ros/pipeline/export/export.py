# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm export`: exports the parts of a model as ONNX files, OpenVINO models, or TensorRT engines for this
GPU.

Each export is run once and compared with PyTorch in float32 before its folder appears.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dcfm_ros.model.build import Model
from dcfm_ros.model.folder import load_model
from dcfm_ros.model.geometry import input_size
from dcfm_ros.model.onnx_export import ExportError, Part, write_onnx
from dcfm_ros.pipeline.backends.tensorrt.build_program import build_engines, gpu_name, key_of
from dcfm_ros.pipeline.backends.tensorrt.engine_files import EngineCache
from dcfm_ros.pipeline.export.folder import Run, check_is_free, write_export
from dcfm_ros.pipeline.export.options import ExportOptions
from dcfm_ros.pipeline.export.record import RECORD_FILE, ExportRecord


class Exported(NamedTuple):
    folder: Path
    record: ExportRecord

    def __str__(self) -> str:
        """Summary for the terminal: the files, and their differences from PyTorch."""
        record = self.record
        lines = [
            f"{record.model} ({record.backbone}) for images of {record.size[1]}x{record.size[0]} in "
            f"{record.precision}, as {record.format}:"
        ]
        for file in record.sha256:
            part, difference = Path(file).stem, "not compared with PyTorch: pip install onnxruntime"
            if record.differences is not None:
                difference = f"differs from PyTorch in f32 by {record.differences[part]:.1e} of its length"
            lines.append(f"  {file}: {difference}" if not file.endswith(".bin") else f"  {file}")
        return "\n".join([*lines, f"written to {self.folder}"])


def export(options: ExportOptions) -> Exported:
    """Export a model; an ExportError or OSError leaves existing files unchanged."""
    model = load_model(options.model)
    size = options.size or input_size(*2 * ((model.config.input_height, model.config.input_width),))
    if options.format == "tensorrt":
        return _export_engines(model, options, size)
    writer = {"onnx": write_onnx_parts, "openvino": _openvino_writer}[options.format]
    folder = _free_folder(options.out)
    return Exported(
        folder,
        write_export(folder, options.format, writer, model, str(model.folder), size, options.precision, {}),
    )


def write_onnx_parts(parts: list[Part], folder: Path, precision: str) -> tuple[list[Path], Run | None]:
    """Write ONNX files; they can be run if ONNX Runtime is installed."""
    files = [write_onnx(part, folder) for part in parts]
    if importlib.util.find_spec("onnxruntime") is None:
        return files, None

    import onnxruntime

    def run(part: Part) -> np.ndarray:
        session = onnxruntime.InferenceSession(
            folder / f"{part.name}.onnx", providers=["CPUExecutionProvider"]
        )
        return session.run(
            [part.output_name], {name: tensor.numpy() for name, tensor in part.inputs.items()}
        )[0]

    return files, run


def _openvino_writer(parts: list[Part], folder: Path, precision: str) -> tuple[list[Path], Run | None]:
    if importlib.util.find_spec("openvino") is None:
        raise ExportError("format openvino needs OpenVINO: pip install openvino")
    from dcfm_ros.pipeline.export.openvino import write_openvino_parts

    return write_openvino_parts(parts, folder, precision)


def _export_engines(model: Model, options: ExportOptions, size: tuple[int, int]) -> Exported:
    """Build engines for this GPU, in `out` or where the backend finds them."""
    gpu_name(options.device)  # fail before minutes of work
    folder = (
        _free_folder(options.out)
        if options.out
        else EngineCache(model.folder).new(key_of(model, size, options.precision, options.device))
    )
    return Exported(
        folder,
        build_engines(
            model,
            str(model.folder),
            folder,
            size,
            options.precision,
            options.device,
            lambda what: print(what, flush=True),
        ),
    )


def _free_folder(out: str) -> Path:
    """Return a folder that may be written."""
    folder = Path(out)
    check_is_free(folder, lambda folder: (folder / RECORD_FILE).is_file())
    return folder
