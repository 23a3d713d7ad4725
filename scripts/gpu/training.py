# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The step `training`: as long as the minutes allow, with a checkpoint that can be carried away after
each."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

from dcfm_ros.files import atomic_write
from dcfm_ros.model.model_yaml import training_record
from dcfm_ros.training.checkpoint import LAST, LOG_FILE, as_fitted, load_state
from dcfm_ros.training.config import load_train_config
from dcfm_ros.training.datasets import open_data
from dcfm_ros.training.group import cores
from dcfm_ros.training.loop import train
from dcfm_ros.training.settings import TrainConfig
from dcfm_ros.training.start import new_model
from gpu.carried import carried_back, carry


def main() -> int:
    options = _options()
    try:
        return _check(options) if options.check else _train(options)
    except (
        RuntimeError,
        ValueError,
        OSError,
    ) as error:  # wrong settings or data, too little memory, a full disk
        print(" ".join(str(error).split()))
        return 1


def _check(options) -> int:
    """What training reads is looked at before anything that takes time: 0 if it can begin."""
    config = _config(options)
    open_data(replace(config, data=replace(config.data, in_memory=False)))
    if options.resume:
        run = options.json.parent / "run"
        carried_back(options.resume, run)
        load_state(run, as_fitted(config, run), resume=True)
    else:
        new_model(config)
    return 0


def _config(options) -> TrainConfig:
    return load_train_config(options.config, options.set, options.data, options.init or "")


def _train(options) -> int:
    run = options.json.parent / "run"  # a temporary folder, that of the figures
    if options.resume:
        carried_back(options.resume, run)

    def save(run: Path) -> None:
        left_out = carry(run, options.out)
        lines = [json.loads(line) for line in (run / LOG_FILE).read_text().splitlines()]
        _write(options.json, {"line": _line(lines, run) + left_out, "is_partial": True, "log": lines})

    outcome = train(
        _config(options),
        run,
        device=options.device,
        resume=bool(options.resume),
        minutes=options.minutes,
        fit=True,
        workers=max(1, cores() - 2),
        on_save=save,
    )
    figures = json.loads(options.json.read_text())
    _write(options.json, {**figures, "is_partial": outcome.code != 0})
    return outcome.code


def _options():
    parser = argparse.ArgumentParser()
    parser.add_argument("config")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--data", action="append", default=[])
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--init", default="")
    parser.add_argument("--resume", type=Path, default=None)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--json", type=Path, required=True, help="file for figures; its folder is worked in")
    parser.add_argument(
        "--check", action="store_true", help="only look whether configuration, data and models can be read"
    )
    return parser.parse_args()


def _line(log: list[dict], run: Path) -> str:
    record = training_record(run / LAST)
    text = (
        f"{record['iterations_done']} of "
        f"{sum(phase['iterations'] for phase in record['configuration']['phases'])} "
        "iterations"
    )
    if entries := [entry for entry in log if "ce_key" in entry]:
        first, last = entries[0], entries[-1]
        text += (
            f", {last['images_per_s']:.0f} images/s, cross entropy {first['ce_key']:.3f} to "
            f"{last['ce_key']:.3f} (keyframes), {first['ce_nonkey']:.3f} to {last['ce_nonkey']:.3f} (others)"
        )
    return text


def _write(path: Path, plain: dict) -> None:
    atomic_write(path, json.dumps(plain))


if __name__ == "__main__":
    raise SystemExit(main())
