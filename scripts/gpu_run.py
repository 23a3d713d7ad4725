#!/usr/bin/env python3
# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Everything that this project wants from a machine with an NVIDIA GPU, in one command and ten minutes.

  python3 scripts/gpu_run.py --data camvid=CAMVID --out results      check, measure, train
  python3 scripts/gpu_run.py pack FOLDER --data camvid=CAMVID        what the run needs, in one folder of at
  most 60 MB

Needed: Python 3.10 or newer, PyTorch with CUDA, Triton, numba, OpenCV, safetensors, PyYAML, tqdm. docs/gpu.md
    has more.
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from gpu import packing
from gpu.results import DONE, SKIPPED, Outcome, Results, summary
from gpu.runner import Interrupted, run
from gpu.steps import KINDS, ROOT, Training, environment, inputs, plan

CONFIG = "config/train/street11_gpu.yaml"
# of a disk: results; a training's own checkpoint
FREE_MB = {"--out": 80, "the folder for temporary files (TMPDIR)": 200}
ENDING = (signal.SIGTERM, signal.SIGHUP)  # as Ctrl-C: the step is ended, too


def main(arguments: list[str] | None = None) -> int:
    """0 if anything was measured, 1 if nothing was, 2 for wrong arguments."""
    words = sys.argv[1:] if arguments is None else arguments
    if words[:1] == ["pack"]:
        return _pack(words[1:])
    options = _options(words)
    results = Results(
        options.out,
        {
            "command": ["gpu_run.py", *words],
            "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "commit": packing.commit(),
        },
    )
    before = {number: signal.signal(number, signal.default_int_handler) for number in ENDING}
    try:
        _run(options, results)
    except Interrupted as interruption:
        _add(results, interruption.outcome)
        print("interrupted: what was measured stands", flush=True)
    except KeyboardInterrupt:  # between two steps
        print("interrupted: what was measured stands", flush=True)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if results.problem:  # then at least here
        print(f"\n{results.text()}", flush=True)
    print(f"results: {options.out}", flush=True)
    return 0 if results.measured else 1


def _run(options, results: Results) -> None:
    end = time.monotonic() + 60.0 * options.minutes
    training = Training(
        options.config, options.init, options.resume, tuple(options.data), options.out, options.device
    )
    looked = _add(results, run(environment(options.device), 90.0))
    if looked.status != DONE or looked.figures["problem"]:
        return
    if "training" in options.steps and _add(results, run(inputs(training), 90.0)).status != DONE:
        print("training could not begin with this; without it: --steps tests,benchmark,kernels", flush=True)
        return
    for step in plan(training, options.steps):
        left = end - time.monotonic()
        limit = min(step.limit_s, left - step.leaves_s - step.grace_s)
        late = f"{max(0, left):.0f} s are left, too few" if limit < step.least_s else ""
        if why := step.why_not or step.missing or late:
            _add(results, Outcome(step.name, SKIPPED, why))
        else:
            print(f"{step.name} ... (at most {limit:.0f} s)", flush=True)
            _add(results, run(step, limit))


def _add(results: Results, outcome: Outcome) -> Outcome:
    results.add(outcome)
    print(summary(outcome), flush=True)
    return outcome


def _options(words: list[str]):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    packed = packing.packed()
    parser.add_argument(
        "--out", type=Path, default=Path("results"), help="new folder for at most 8 files, 60 MB; results"
    )
    parser.add_argument("--minutes", type=float, default=8.5, help="for all; 8.5")
    parser.add_argument(
        "--device", default="cuda", help="cuda, or cpu: every step small, to see that it runs"
    )
    parser.add_argument("--steps", default=",".join(KINDS), help=f"only these of {','.join(KINDS)}")
    parser.add_argument(
        "--data", action="append", default=None, metavar="NAME=PATH", help="data set to train on"
    )
    parser.add_argument("--config", default=packed.get("config", CONFIG), help=f"of the training; {CONFIG}")
    parser.add_argument(
        "--init", default=packed.get("init", ""), help="model to start from; default: the configuration's"
    )
    parser.add_argument(
        "--resume",
        default="",
        metavar="RESULTS",
        help="go on with the training of a run that was ended early",
    )
    options = parser.parse_args(words)
    if options.device not in ("cpu", "cuda"):
        parser.error(f"--device {options.device}: use cuda or cpu")
    if not 0 < options.minutes < float("inf"):
        parser.error(f"--minutes {options.minutes}: use a number above 0")
    options.steps = [name.strip() for name in options.steps.split(",")]
    if unknown := [name for name in options.steps if name not in KINDS]:
        parser.error(f"--steps {unknown[0]!r}: use some of {', '.join(KINDS)}")
    if options.data is None:  # paths of a pack are within it
        options.data = [f"{name}={ROOT / path}" for name, path in packed.get("data", {}).items()]
    else:
        options.data = [_data(parser, text) for text in options.data]
    if options.resume:
        if not Path(options.resume).is_dir():
            parser.error(f"--resume {options.resume}: there is no such folder")
        options.resume = str(Path(options.resume).resolve())
    for name in ("config", "init"):
        if (text := getattr(options, name)) and Path(
            text
        ).exists():  # else a name, or a path within the sources
            setattr(options, name, str(Path(text).resolve()))
    options.out = options.out.resolve()
    _claim(parser, options.out)
    return options


def _claim(parser, out: Path) -> None:
    """Make the folder for results; two runs cannot share one."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()):
            parser.error(f"--out {out} is not empty: give a new folder")
        (out / "log.txt").open("x").close()
    except OSError as error:
        parser.error(f"--out {out}: {error.strerror}")
    for (what, least), folder in zip(FREE_MB.items(), (out, Path(tempfile.gettempdir()))):
        if (free := shutil.disk_usage(folder).free / 1e6) < least:
            parser.error(f"{folder}, {what}, has {free:.0f} MB of free space: {least} are needed")


def _data(parser, text: str) -> str:
    name, equals, path = text.partition("=")
    if not equals or not path or not Path(path).is_dir():
        parser.error(f"--data {text}: write NAME=PATH with a folder that is there")
    return f"{name}={Path(path).resolve()}"


def _pack(words: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="gpu_run.py pack", description="Copy what a run needs into one folder."
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", action="append", default=[], metavar="NAME=PATH")
    parser.add_argument("--config", default=CONFIG)
    parser.add_argument("--init", default="")
    options = parser.parse_args(words)
    data = dict(_data(parser, text).split("=", 1) for text in options.data)
    try:
        size = packing.pack(options.folder, data, options.config, options.init)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    print(
        f"{options.folder}: {size / 1e6:.1f} MB. On the other machine, in it, with the Python that has "
        f"PyTorch:\n"
        "python3 scripts/gpu_run.py --out results"
    )
    if importlib.util.find_spec("torch") is None:  # a machine that only copies
        return 0
    looked = run(
        inputs(Training(**packing.unpacked(options.folder), resume="", out=options.folder, device="cuda")),
        120.0,
    )
    if looked.status != DONE:
        print(f"but its training cannot begin: {looked.line}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
