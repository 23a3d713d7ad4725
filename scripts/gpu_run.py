#!/usr/bin/env python3
# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Everything that this project wants from a machine with an NVIDIA GPU, in one command and ten minutes.

  python3 scripts/gpu_run.py --data camvid=CAMVID --out results      check, measure, train
  python3 scripts/gpu_run.py pack FOLDER --data camvid=CAMVID        what the run needs, in one folder of at most 60 MB

Needed: Python 3.10 or newer, PyTorch with CUDA, Triton, numba, OpenCV, safetensors, PyYAML, tqdm. docs/gpu.md has more.
"""
from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from gpu import packing   # noqa: E402
from gpu.results import DONE, SKIPPED, Outcome, Results, summary   # noqa: E402
from gpu.runner import run   # noqa: E402
from gpu.steps import ROOT, Training, environment, plan   # noqa: E402

CONFIG = "config/train/street11_gpu.yaml"


def main(arguments: list[str] | None = None) -> int:
    """0 if anything was measured, 1 if nothing was, 2 for wrong arguments."""
    words = sys.argv[1:] if arguments is None else arguments
    if words[:1] == ["pack"]:
        return _pack(words[1:])
    options = _options(words)
    results = Results(options.out, {"command": ["gpu_run.py", *words], "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                                    "commit": packing.commit()})
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)   # a run that is ended ends its step, too
    try:
        _run(options, results)
    except KeyboardInterrupt:
        print("interrupted: what was measured stands", flush=True)
    finally:
        signal.signal(signal.SIGTERM, before)
    print(f"{results.problem}\nresults: {options.out}".strip(), flush=True)
    return 0 if results.measured else 1


def _run(options, results: Results) -> None:
    end = time.monotonic() + 60.0 * options.minutes
    looked = run(environment(options.device), 60.0)
    _add(results, looked)
    problem = looked.line if looked.status != DONE else looked.figures["problem"]
    training = Training(options.config, options.init, options.resume, tuple(options.data), options.out)
    for step in plan(options.device, training):
        if options.steps and not any(step.name.startswith(name) for name in options.steps):
            continue
        left = end - time.monotonic()
        limit = min(step.limit_s, left - step.leaves_s)
        late = f"{max(0, left):.0f} s are left, too few" if limit < step.least_s else ""
        if why := problem or step.why_not or step.missing or late:
            _add(results, Outcome(step.name, SKIPPED, why))
        else:
            print(f"{step.name} ... (at most {limit:.0f} s)", flush=True)
            _add(results, run(step, limit))


def _add(results: Results, outcome: Outcome) -> None:
    results.add(outcome)
    print(summary(outcome), flush=True)


def _options(words: list[str]):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    packed = packing.packed()
    parser.add_argument("--out", type=Path, default=Path("results"), help="new folder for at most 8 files, 60 MB; results")
    parser.add_argument("--minutes", type=float, default=8.5, help="for all; 8.5")
    parser.add_argument("--device", default="cuda", help="cuda, or cpu: every step small, to see that it runs")
    parser.add_argument("--steps", type=lambda text: text.split(","), default=[],
                        help="only these: tests, benchmark, training, evaluation")
    parser.add_argument("--data", action="append", default=None, metavar="NAME=PATH", help="data set to train on")
    parser.add_argument("--config", default=packed.get("config", CONFIG), help=f"of the training; {CONFIG}")
    parser.add_argument("--init", default=packed.get("init", ""), help="model to start from; default: the configuration's")
    parser.add_argument("--resume", default="", metavar="RESULTS", help="go on with the training of an earlier run")
    options = parser.parse_args(words)
    if options.device not in ("cpu", "cuda"):
        parser.error(f"--device {options.device}: use cuda or cpu")
    if not 0 < options.minutes < float("inf"):
        parser.error(f"--minutes {options.minutes}: use a number above 0")
    if options.data is None:
        options.data = packed.get("data", [])
    options.data = [_data(parser, text) for text in options.data]
    options.out = options.out.resolve()
    if options.resume:
        options.resume = str(Path(options.resume).resolve())
    for name in ("config", "init"):
        if (text := getattr(options, name)) and Path(text).exists():   # else a name, or a path within the sources
            setattr(options, name, str(Path(text).resolve()))
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        if any(options.out.iterdir()):
            parser.error(f"--out {options.out} is not empty: give a new folder")
    except OSError as error:
        parser.error(f"--out {options.out}: {error.strerror}")
    return options


def _data(parser, text: str) -> str:
    name, equals, path = text.partition("=")
    folder = Path(path) if Path(path).exists() else ROOT / path
    if not equals or not folder.is_dir():
        parser.error(f"--data {text}: write NAME=PATH with a folder that is there")
    return f"{name}={folder.resolve()}"


def _pack(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="gpu_run.py pack", description="Copy what a run needs into one folder.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", action="append", default=[], metavar="NAME=PATH")
    parser.add_argument("--config", default=CONFIG)
    parser.add_argument("--init", default="")
    options = parser.parse_args(words)
    try:
        print(packing.pack(options.folder, [_data(parser, text) for text in options.data], options.config, options.init))
    except (OSError, ValueError) as error:
        parser.error(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
