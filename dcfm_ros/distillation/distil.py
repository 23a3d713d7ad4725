# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Distillation from beginning to end: label frames with the teacher, train the student, measure it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dcfm_ros.config_folders import config_folders
from dcfm_ros.distillation.agreement import Agreement, agreement_by_age
from dcfm_ros.distillation.footage import all_footage
from dcfm_ros.distillation.labelling import Labelling
from dcfm_ros.distillation.open_teacher import open_teacher
from dcfm_ros.distillation.options import CONFIGURATION, DistilTraining, LabellingOptions
from dcfm_ros.distillation.plan import VAL
from dcfm_ros.distillation.teacher import Teacher
from dcfm_ros.files import atomic_files
from dcfm_ros.model.config import ConfigError, ModelConfig
from dcfm_ros.model.folder import load_model
from dcfm_ros.model.model_yaml import find_model, load_model_config
from dcfm_ros.sources.clips import open_clips
from dcfm_ros.sources.data_sets import SOFT_LABELS
from dcfm_ros.training.checkpoint import BEST, LAST
from dcfm_ros.training.config import load_train_config
from dcfm_ros.training.loop import train
from dcfm_ros.training.settings import TrainConfig

REPORT = "distil.json"
_WIDEST = 128  # channels of the common feature


@dataclass(frozen=True)
class Distilled:
    """What became of a distillation.

    model: the student's folder
    code, note, is_finished: of the training, see its `Outcome`
    agreement: with the teacher on held-out frames; empty if training is unfinished or nothing was held out
    teacher: its folder; None for an ONNX file
    """

    model: Path
    code: int
    note: str
    is_finished: bool
    agreement: list[Agreement] = field(default_factory=list)
    teacher: Path | None = None


def distil(labelling: LabellingOptions, training: DistilTraining) -> Distilled:
    """Label frames with the teacher, and train a student on them until the end, a signal, or the end of
    `minutes`. All inputs are checked before anything slow starts.

    Raises ConfigError, ModelError, SourceError, BagError, CheckpointError or TrainingError.
    """
    begun, out = time.monotonic(), Path(labelling.out)
    folder = out / SOFT_LABELS
    teacher = open_teacher(labelling, training.device)
    try:
        init = _start(labelling, teacher)
        origin = load_model_config(init)
        footage = all_footage(labelling.data, out, labelling.topics)
        size = origin.input_height, origin.input_width
        labels = Labelling(teacher, footage, labelling, size, folder, training.resume)
        try:
            labels.run()
        except KeyboardInterrupt:
            print("Labelling is stopped. Go on with the same command and --resume.", file=sys.stderr)
            raise
    finally:
        teacher.stop()
    has_validation = any(group.split == VAL for group in labels.groups)
    config = load_train_config(
        training.config or _configuration(),
        [
            f"model.input_height={size[0]}",
            f"model.input_width={size[1]}",
            f"data.radius={labelling.radius}",
            "init_parts=masks",
            *_width(origin),
            f"init_terms={json.dumps(f'teacher and start: {teacher.name}')}",
            *training.changes,
            *([] if has_validation else ["validation=null"]),  # last: nothing of it can be set
        ],
        [f"{SOFT_LABELS}={folder}"],
        init=str(init),
    )
    minutes = _left(training.minutes, begun)
    outcome = train(
        config,
        out,
        device=training.device,
        resume=training.resume,
        workers=training.workers,
        minutes=minutes,
        fit=minutes is not None,
    )
    agreement = _measured(outcome.folder, folder, config) if outcome.is_finished and has_validation else []
    result = Distilled(
        outcome.folder, outcome.code, outcome.note, outcome.is_finished, agreement, teacher.folder
    )
    if outcome.is_finished:
        _write_report(out, labelling, teacher, result)
    return result


def _start(options: LabellingOptions, teacher: Teacher) -> Path:
    """Return the model that training starts from."""
    if options.student:
        return find_model(options.student)
    if teacher.folder is None:
        raise ConfigError(
            f"a student cannot start from {teacher.name}: name a model by --student, such as street11_b0"
        )
    return teacher.folder


def _width(origin: ModelConfig) -> list[str]:
    """Return the width of the common feature of a student that starts from a per-frame model. Wider ones cost
    time in training and on every frame; the start has the same masks with any."""
    if origin.architecture == "dcfm" or origin.deep_channels <= _WIDEST:
        return []
    return [f"model.common_width={_WIDEST}"]


def _configuration() -> Path:
    for place in config_folders("train"):
        if (place / CONFIGURATION).is_file():
            return place / CONFIGURATION
    raise ConfigError(f"config/train/{CONFIGURATION} is not installed: give a configuration by --config")


def _left(minutes: float | None, begun: float) -> float | None:
    """Return the minutes that labelling has left."""
    if minutes is None:
        return None
    left = minutes - (time.monotonic() - begun) / 60
    if left <= 0:
        raise ConfigError(
            f"labelling took all of the {minutes:g} minutes: it is done, so run the command again with "
            "--resume, or label fewer --frames"
        )
    return left


def _measured(model: Path, soft_labels: Path, config: TrainConfig) -> list[Agreement]:
    return agreement_by_age(load_model(model), open_clips(str(soft_labels), VAL), config.data.aligned > 0)


def _write_report(out: Path, options: LabellingOptions, teacher: Teacher, result: Distilled) -> None:
    plain: dict[str, Any] = {
        "teacher": {"name": teacher.name, "sha256": teacher.identity},
        "agreement": [row._asdict() for row in result.agreement],
        "options": {**asdict(options), **_names_alone(options)},
        "models": [name for name in (LAST, BEST) if (out / name).is_dir()],
    }
    with atomic_files(out / REPORT) as (part,):
        part.write_text(json.dumps(plain, indent=1), encoding="utf-8")


def _names_alone(options: LabellingOptions) -> dict[str, Sequence[str] | str]:
    """Return the options that are paths without their folders, which are of this machine."""
    return {
        "data": [Path(path).name for path in options.data],
        "out": Path(options.out).name,
        "teacher": Path(options.teacher).name,
        "student": Path(options.student).name,
        "class_map": Path(options.class_map).name,
    }
