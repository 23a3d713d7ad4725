# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The step `training`: as long as the minutes allow, with a checkpoint that can be carried away after each."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from dataclasses import replace
from pathlib import Path

from gpu.carried import MODEL, carry, carried_back
from gpu.environment import shared_memory_gb

from dcfm_ros.training.checkpoint import LAST, LOG_FILE
from dcfm_ros.training.config import load_train_config
from dcfm_ros.training.loop import train
from dcfm_ros.training.pairs import cores
from dcfm_ros.training.settings import TrainConfig


def main() -> int:
    options = _options()
    try:
        return _train(options)
    except (RuntimeError, ValueError, OSError) as error:   # wrong settings or data, too little memory, a full disk
        print(" ".join(str(error).split()))
        return 1


def _train(options) -> int:
    config = load_train_config(options.config, options.set, options.data)
    if options.init:
        config = replace(config, init=options.init)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        if options.resume:
            carried_back(options.resume, run)

        def save(run: Path) -> None:
            left_out = carry(run, options.out)
            lines = [json.loads(line) for line in (run / LOG_FILE).read_text().splitlines()]
            _write(options.json, {"line": _line(lines, left_out), "is_partial": True, "log": lines})

        outcome = train(config, run, device=options.device, resume=bool(options.resume), minutes=options.minutes, fit=True,
                        workers=workers(config), on_save=save)
        note = outcome.note.replace(str(run / LAST), str(options.out / MODEL))
        figures = json.loads(options.json.read_text()) if options.json.exists() else {"line": note}
        _write(options.json, {**figures, "is_partial": False, "note": note})
    return outcome.code


def workers(config: TrainConfig) -> int:
    """All cores but two, as far as /dev/shm has room for the two batches that each prepares ahead, and one more on its way."""
    largest = max(phase.batch * phase.height * phase.width for phase in config.phases)
    room = int(1e9 * shared_memory_gb() / (3 * 8 * largest))   # 8 bytes a pixel: two images and their labels
    return max(0, min(cores() - 2, room)) if cores() > 2 else min(1, room)


def _options():
    parser = argparse.ArgumentParser()
    parser.add_argument("config")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--data", action="append", default=[])
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--init", default="")
    parser.add_argument("--resume", type=Path, default=None)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--json", type=Path, required=True)
    return parser.parse_args()


def _line(log: list[dict], left_out: str) -> str:
    entries = [entry for entry in log if "ce_key" in entry]
    if not entries:
        return f"saved before the first line of the log{left_out}"
    first, last = entries[0], entries[-1]
    return (f"{last['iteration']} iterations, {last['images_per_s']:.0f} images/s, cross entropy {first['ce_key']:.3f} to "
            f"{last['ce_key']:.3f} (keyframes), {first['ce_nonkey']:.3f} to {last['ce_nonkey']:.3f} (others){left_out}")


def _write(path: Path, plain: dict) -> None:
    part = path.with_name(f"{path.name}.part")
    part.write_text(json.dumps(plain))
    os.replace(part, path)


if __name__ == "__main__":
    raise SystemExit(main())
