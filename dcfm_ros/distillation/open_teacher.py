# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Opens the teacher that the options name."""

from __future__ import annotations

from pathlib import Path

from dcfm_ros.distillation.model_teacher import ModelTeacher
from dcfm_ros.distillation.onnx_teacher import OnnxTeacher
from dcfm_ros.distillation.options import LabellingOptions
from dcfm_ros.distillation.teacher import Teacher
from dcfm_ros.model.config import ConfigError
from dcfm_ros.model.importing.import_model import import_model
from dcfm_ros.model.model_yaml import CONFIG_FILE, ModelError, find_model, untrained_parts

_ONNX = ".onnx"
_IMPORTED = "teacher"  # folder in the output where an imported teacher is kept


def open_teacher(options: LabellingOptions, device: str = "auto") -> Teacher:
    """Open the teacher that the options name. A checkpoint is imported into a folder in `options.out`. Raises
    ModelError, CheckpointError, BackendError or ConfigError."""
    if options.teacher.endswith(_ONNX):
        return OnnxTeacher(options)
    if options.classes:
        raise ConfigError(f"classes {options.classes}: only an ONNX file needs them; remove the option")
    return ModelTeacher(_folder(Path(options.teacher), Path(options.out)), device)


def _folder(teacher: Path, out: Path) -> Path:
    """Return the model folder of a teacher; a checkpoint is imported first, once."""
    try:
        folder = find_model(teacher)
    except ModelError:
        if not teacher.exists():
            raise
        folder = out / _IMPORTED
        if not (folder / CONFIG_FILE).is_file():
            import_model([teacher], folder)
    if parts := untrained_parts(folder):
        raise ConfigError(
            f"teacher {teacher} is untrained in {' and '.join(parts)}: it cannot teach; give one with a "
            "classifier"
        )
    return folder
