# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The content of an evaluation's report.json."""

from __future__ import annotations

from dataclasses import asdict

from dcfm_ros.bags.options import BagEvaluateOptions, scheduling
from dcfm_ros.bags.run import EvaluationRun
from dcfm_ros.bags.topics import CameraTopic
from dcfm_ros.evaluation.tally import tally_report
from dcfm_ros.model.config import ModelConfig
from dcfm_ros.model.versions import versions
from dcfm_ros.reports.machine import machine
from dcfm_ros.reports.model_description import model_description
from dcfm_ros.rounding import percentiles


def bag_report(run: EvaluationRun, options: BagEvaluateOptions, config: ModelConfig) -> dict:
    """Return the report of a finished run; the model's configuration supplies the classes."""
    frames = sum(record.masks for record in run.replay.cameras.values())
    return {
        "bag": run.bag.summary(),
        "model": model_description(options.model, config, run.replay.segmenter.backend),
        "mode": options.mode,
        "scheduler": scheduling(run.replay.segmenter.config),
        "cameras": [_camera(run, camera) for camera in run.cameras],
        "rows": [tally_report(tally, config.class_names) for tally in run.tallies],
        "times_ms": {stage: percentiles(values) for stage, values in run.times.items()},
        "frames_per_s": round((frames - 1) / run.span_s, 2) if run.span_s > 0 else None,
        "notes": _notes(run),
        "options": asdict(options),
        "versions": versions(),
        "machine": machine(),
    }


def _camera(run: EvaluationRun, camera: CameraTopic) -> dict:
    record = run.replay.cameras[camera.name]
    return {
        "camera": camera.name,
        "topic": camera.topic.name,
        "type": camera.topic.msgtype,
        **record.summary(),
        "rate_hz": round(record.rate_hz, 2) if record.rate_hz else None,
        "labelled": run.label_records[camera.name].used,
    }


def _notes(run: EvaluationRun) -> list[str]:
    """Return what readers of the figures have to know."""
    notes = list(run.bag.notes)
    for camera in run.cameras:
        notes += run.replay.cameras[camera.name].notes(camera.topic.name) + _label_notes(run, camera)
    return notes


def _label_notes(run: EvaluationRun, camera: CameraTopic) -> list[str]:
    labels, record = run.labels.get(camera.name), run.label_records[camera.name]
    if labels is None:
        return []
    masks, topic, notes = run.replay.cameras[camera.name].masks, camera.topic.name, []
    if record.refused:
        notes.append(f"{topic}: {record.refused} labels cannot be used, first error: {record.example}")
    if record.used < masks:
        notes.append(f"{topic}: {record.used} of {masks} masks have a label; accuracy is computed from these")
    if labels.unused:
        notes.append(f"{topic}: {labels.unused} labels match no image")
    return notes
