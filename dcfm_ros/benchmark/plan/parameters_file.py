# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parameters file of a plan, for `ros2 launch dcfm_ros segment.launch.py params:=FILE`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from dcfm_ros.benchmark.plan.measured import Row
from dcfm_ros.benchmark.plan.words import (
    accuracy_words,
    age_words,
    latency_words,
    machine_words,
    others_words,
    wish_words,
)
from dcfm_ros.files import output_folder
from dcfm_ros.model.model_yaml import built_in_name, find_model

AsYaml = Callable[[Any], str]  # formats a value as ROS's parser reads it back: ros/yaml_text.py


def parameters_text(row: Row, command: str, day: date, as_yaml: AsYaml) -> str:
    """Parameters of the segmenter as planned, with comments that say what was measured."""
    job, measured = row.measured.job, row.measured
    schedule = measured.schedule
    lines = [
        f"# Made by `{command}` on {day.isoformat()}.",
        f"# For {wish_words(job)}, on {machine_words(measured)}.",
        f"# A frame took {latency_words(measured)} (image in, mask out, without DDS; {measured.drive.masks} "
        "frames).",
        f"# Processor: {row.load:.2f} of all cores at most, ROS included; {job.share:.2f} were given.",
        *([f"# {others[0].upper()}{others[1:]}."] if (others := others_words(row)) else []),
        f"# Memory: {measured.resident_mb:.0f} MB resident, without ROS.",
        f"# {accuracy_words(row)}",
        "# Another camera, rate, model or machine: plan again. ros2 launch dcfm_ros segment.launch.py "
        "params:=THIS_FILE",
        "/**:",
        "  ros__parameters:",
    ]

    def add(name: str, value: Any, comment: str = "") -> None:
        lines.append(f"    {name}: {as_yaml(value)}" + (f"   # {comment}" if comment else ""))

    built_in = built_in_name(job.model)
    add("model", built_in or str(find_model(job.model).resolve()))
    add("backend", job.backend, _stands_for(job.backend, measured.backend))
    add("device", job.device, _stands_for(job.device, measured.device))
    add("precision", job.precision, _stands_for(job.precision, measured.precision))
    if measured.costs.per_frame:
        lines.append("    # a per-frame model: every frame runs its whole network, there are no keyframes")
    else:
        scheduler = schedule.scheduler
        add("mode", measured.mode.value, "masks do not wait for keyframes")
        add("min_interval", scheduler.min_interval)
        add("max_interval", scheduler.max_interval, f"features: {age_words(measured)}")
        add(
            "keyframe_budget_hz",
            float(scheduler.keyframe_budget_hz),
            "keyframes per second of all cameras, at most"
            if scheduler.keyframe_budget_hz
            else "no bound: every frame can be a keyframe",
        )
    if job.mask_size:
        add("mask_size", job.mask_size)
    if job.cameras == 1:
        add("image_topic", "camera/image_raw", "your camera's, or image:=TOPIC at the launch")
    else:
        names = [f"camera{number + 1}" for number in range(job.cameras)]
        add("cameras", names, "your cameras' names, and their topics:")
        for name in names:
            lines.append(f"    {name}: {as_yaml({'image_topic': f'{name}/image_raw'})}")
    return "\n".join(lines) + "\n"


def check_place(out: str) -> None:
    """Raise OSError if the file cannot be written there."""
    path = Path(out)
    if path.is_dir():
        raise OSError(f"--out {out} is a folder: give a file in it, as in {path / 'params.yaml'}")
    output_folder(path.parent)


def _stands_for(given: str, found: str) -> str:
    return f"here {found}" if given == "auto" else ""
