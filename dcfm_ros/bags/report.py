# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An evaluation's figures as report.json holds them."""

from __future__ import annotations

from dataclasses import asdict

from dcfm_ros.bags.options import BagEvaluateOptions, scheduling
from dcfm_ros.bags.run import Run
from dcfm_ros.bags.topics import CameraTopic
from dcfm_ros.evaluation.tally import tally_report
from dcfm_ros.metrics.figures import percentiles
from dcfm_ros.model.config import ModelConfig
from dcfm_ros.model.versions import versions
from dcfm_ros.reports.machine import machine
from dcfm_ros.reports.model_description import model_description


def bag_report(run: Run, options: BagEvaluateOptions, config: ModelConfig) -> dict:
    """Of a run that has come to its end; the model's configuration gives the classes."""
    frames = sum(record.masks for record in run.replay.cameras.values())
    return {
        "bag": run.bag.facts(),
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


def _camera(run: Run, camera: CameraTopic) -> dict:
    record = run.replay.cameras[camera.name]
    return {
        "camera": camera.name,
        "topic": camera.topic.name,
        "type": camera.topic.msgtype,
        **record.facts(),
        "rate_hz": round(record.rate_hz, 2) if record.rate_hz else None,
        "labelled": run.label_records[camera.name].used,
    }


def _notes(run: Run) -> list[str]:
    """What a reader of the figures has to know."""
    notes = list(run.bag.notes)
    for camera in run.cameras:
        notes += run.replay.cameras[camera.name].notes(camera.topic.name) + _label_notes(run, camera)
    return notes


def _label_notes(run: Run, camera: CameraTopic) -> list[str]:
    labels, record = run.labels.get(camera.name), run.label_records[camera.name]
    if labels is None:
        return []
    masks, topic, notes = run.replay.cameras[camera.name].masks, camera.topic.name, []
    if record.refused:
        notes.append(f"{topic}: {record.refused} labels cannot be used; the first: {record.example}")
    if record.used < masks:
        notes.append(f"{topic}: {record.used} of {masks} masks have a label; accuracy is of these")
    if labels.unused:
        notes.append(f"{topic}: {labels.unused} labels belong to no image")
    return notes
