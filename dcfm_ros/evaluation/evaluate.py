# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm evaluate`: a model on labelled clips by the offline protocol; report, table and plots."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from dcfm_ros.evaluation.options import EvaluateOptions
from dcfm_ros.evaluation.protocol import Network, Protocol
from dcfm_ros.evaluation.schedule import ASYNC, CAUSAL, PER_FRAME, TWO_SIDED, Schedule
from dcfm_ros.evaluation.scores import WINDOWS, score_report
from dcfm_ros.evaluation.timing import KEYFRAME, REPEATS, WHAT, frames_per_second, measure, nonkey
from dcfm_ros.evaluation.training_data import related_data
from dcfm_ros.model.class_map import read_class_map
from dcfm_ros.model.config import ModelConfig
from dcfm_ros.model.folder import load_model
from dcfm_ros.model.geometry import input_size
from dcfm_ros.model.model_yaml import load_model_config
from dcfm_ros.model.versions import versions
from dcfm_ros.pipeline.backends import make_backend
from dcfm_ros.pipeline.settings import SchedulerConfig
from dcfm_ros.reports.machine import machine
from dcfm_ros.reports.model_description import model_description
from dcfm_ros.rounding import rounded
from dcfm_ros.sources.clips import ClipSet, open_clips


def evaluate(options: EvaluateOptions) -> dict:
    """Evaluate; writes `report.json` and plots into `options.out`, if there is one, and returns the
    report."""
    config = load_model_config(options.model)
    clip_set = open_clips(options.source, options.split, options.kind)
    clips = clip_set.clips[: options.limit_clips]
    labelled = sum(len(clip.labelled) for clip in clips)
    if not labelled:
        raise ValueError(
            f"{clip_set.name}: none of the {len(clips)} clips has a label; evaluation needs labelled frames"
        )
    notes = check_classes(options.model, config, clip_set) + related_data(options.model, clip_set)
    if options.per_frame is not None:
        reference = load_model_config(options.per_frame)
        if reference.architecture != PER_FRAME:
            raise ValueError(
                f"--per-frame {options.per_frame} is a model of architecture {reference.architecture}; "
                f"give one of architecture {PER_FRAME}"
            )
        notes += check_classes(options.per_frame, reference, clip_set) + related_data(
            options.per_frame, clip_set
        )
    if options.out:
        Path(options.out).mkdir(parents=True, exist_ok=True)

    model = _evaluate_model(options, options.model, clips, labelled)
    models, rows = [model["model"]], model["rows"]
    if options.per_frame is not None:
        alone = _evaluate_model(options, options.per_frame, clips, labelled)
        models, rows = [*models, alone["model"]], alone["rows"] + rows
    if not any(row[f"windows{n}"] for row in rows for n in WINDOWS):
        notes.append("no mVC: no clip is labelled in every frame and long enough")
    report = {
        "data": {
            "name": clip_set.name,
            "source": options.source,
            "terms": clip_set.terms,
            "clips": len(clips),
            "frames": sum(clip.length for clip in clips),
            "labelled_frames": labelled,
            "whole_clips": sum(len(clip.labelled) == clip.length for clip in clips),
        },
        "models": models,
        "notes": list(dict.fromkeys(notes)),
        "options": asdict(options),
        "scheduler": _without_threshold(options.scheduler),
        "rows": rows,
        "by_age": model["by_age"],
        "versions": versions(),
        "machine": machine(),
    }
    if options.fps:
        report["fps"] = {"of": f"mean times of {REPEATS} runs, one image at a time", **WHAT}
    if options.out:
        _write(report, Path(options.out))
    return report


def _write(report: dict, folder: Path) -> None:
    from dcfm_ros.evaluation.plots import write_plots  # matplotlib is not everywhere

    (folder / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    write_plots(report, folder)


def check_classes(name: str, config: ModelConfig, clip_set: ClipSet) -> list[str]:
    """Refuse a model whose classes are not the data's; returns what is worth a note."""
    theirs, ours = tuple(name for name, _ in clip_set.classes), config.class_names
    if len(theirs) != len(ours):
        raise ValueError(
            f"model {name} has {len(ours)} classes but {clip_set.name} has {len(theirs)}: "
            "evaluate a model on data with its own classes"
        )
    if theirs == ours:
        return []
    if sorted(theirs) == sorted(ours):
        raise ValueError(
            f"model {name} and {clip_set.name} have the same classes in different orders "
            f"({', '.join(ours)}; {', '.join(theirs)}): give both the same order"
        )
    different = next(i for i in range(len(ours)) if ours[i] != theirs[i])
    return [
        f"classes of model {name} and of {clip_set.name} have different names: class {different} is "
        f"{ours[different]!r} and {theirs[different]!r}; they are taken to mean the same"
    ]


def _evaluate_model(options: EvaluateOptions, name: str, clips: Sequence, labelled: int) -> dict:
    """One model on all clips: its description, its rows and its figures by age."""
    model = load_model(name)
    config = model.config
    backend = make_backend(options.backend, model, options.device, options.precision)
    class_map = read_class_map(options.class_map, config.classes)
    network = Network(
        backend, (config.input_height, config.input_width), class_map, config.shallow_on, options.exact_size
    )
    per_frame = config.architecture == PER_FRAME
    times = _times(options, network, clips, per_frame) if options.fps else None
    protocol = Protocol(
        schedules=[Schedule(PER_FRAME, interval=1)] if per_frame else options.schedules(),
        scheduler=options.scheduler,
        max_age=None if per_frame else options.max_age,
        memory_bytes=int(options.memory_gb * 1e9),
    )
    with tqdm(total=labelled, unit="frame", desc=Path(name).name, disable=None) as bar:
        results = protocol.run(network, clips, bar.update)
    rows = []
    for score in results.scores:
        row = {"model": name, **score_report(score, tuple(c.name for c in class_map.classes))}
        if times is not None:
            for way in WHAT:
                row[f"fps_{way}"] = rounded(
                    frames_per_second(times, row["mode"], score.keyframe_rate, way, row["alignment"])
                )
        rows.append(row)
    description = {
        **model_description(name, config, backend),
        "shallow_on": config.shallow_on,
        "exact_size": options.exact_size,
        "times_ms": times,
    }
    by_age = (
        {
            "frames": results.aged_frames,
            "miou": {
                way: [rounded(matrix.miou) for matrix in matrices] for way, matrices in results.by_age.items()
            },
        }
        if results.aged_frames
        else None
    )
    return {"model": description, "rows": rows, "by_age": by_age}


def _times(options: EvaluateOptions, network: Network, clips: Sequence, per_frame: bool) -> dict:
    """Times on the first labelled frame, of the paths that the rows need."""
    clip = next(clip for clip in clips if len(clip.labelled))
    frame = clip.labelled[0]
    paths = [KEYFRAME]
    if not per_frame:
        sides = [
            number for number, modes in ((1, {CAUSAL, ASYNC}), (2, {TWO_SIDED})) if modes & set(options.modes)
        ]
        paths += [nonkey(number, way) for way in dict.fromkeys(options.alignments) for number in sides]
    image = clip.image(frame)
    size = network.size if network.exact_size else input_size(image.shape[:2], network.size)
    return measure(network.backend, image, size, clip.label(frame).shape, tuple(paths))


def _without_threshold(config: SchedulerConfig) -> dict:
    """Settings of the scheduler which all rows share."""
    return {name: value for name, value in asdict(config).items() if name != "threshold"}
