# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Export folder of any format: a writer's files of the model's parts, compared with PyTorch, and a record."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from dcfm_ros.files import atomic_directory
from dcfm_ros.model.build import Model
from dcfm_ros.model.onnx_export import ExportError, Part, model_parts
from dcfm_ros.model.versions import versions
from dcfm_ros.pipeline.export.record import ExportRecord, make_record, write_record

# Measured with random and with trained models: 1e-6 in f32, 1.4e-3 in f16.
LARGEST_DIFFERENCE = {"f32": 1e-4, "f16": 1e-2}

Run = Callable[[Part], np.ndarray]  # runs an exported part on its example inputs
# Writes parts in a precision into a folder; returns the files, and a function that runs them if that is
# possible.
Writer = Callable[[list[Part], Path, str], tuple[list[Path], Run | None]]


def check_is_free(folder: Path, is_export: Callable[[Path], bool]) -> None:
    """Raise ExportError unless the folder may be written: a new one, an empty one, or an older export."""
    if folder.exists() and not folder.is_dir():
        raise ExportError(f"{folder} is a file: give another folder")
    if folder.is_dir() and any(folder.iterdir()) and not is_export(folder):
        raise ExportError(f"{folder} holds something other than an export: give another folder")


def write_export(
    folder: Path,
    format: str,
    writer: Writer,
    model: Model,
    name: str,
    size: tuple[int, int],
    precision: str,
    others: dict[str, str],
) -> ExportRecord:
    """Write the folder of an export: the writer's files, compared with PyTorch, and the record.

    others: further versions for the record
    """
    parts = model_parts(model, size, precision)
    with atomic_directory(folder) as part:
        files, run = writer(parts, part, precision)
        found = differences(parts, model_parts(model, size), run, precision) if run else None
        record = make_record(
            part, files, format, model, name, parts, precision, found, {**versions(), **others}
        )
        write_record(part, record)
    return record


def differences(parts: list[Part], reference: list[Part], run: Run, precision: str) -> dict[str, float]:
    """Return the relative difference of each part from its reference in f32, |a - b| / |b|; raises
    ExportError if it is too large."""
    found = {}
    for part, exact in zip(parts, reference):
        wanted = exact.output.numpy()
        difference = float(
            np.linalg.norm(run(part).astype(np.float32) - wanted) / max(float(np.linalg.norm(wanted)), 1e-12)
        )
        if not difference <= LARGEST_DIFFERENCE[precision]:  # also catches NaN
            raise ExportError(
                f"{part.name} in {precision} differs from PyTorch by {difference:.1e} of its length, more "
                f"than {LARGEST_DIFFERENCE[precision]:.0e}: nothing was written; try --precision f32"
            )
        found[part.name] = difference
    return found
