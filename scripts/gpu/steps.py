# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is done, in order of value: each step a command in a process of its own, with a limit of its own."""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTS = ("test/pipeline/backends/cuda/test_cuda.py", "test/pipeline/backends/cuda/test_kernels.py")
# what these tests need beside the package
HELPERS = ("test/helpers.py", "test/pipeline_helpers.py", "pyproject.toml")
REPORT = "{report}"  # in a command: the file for the step's figures, JSON
MINUTES = "{minutes}"  # the minutes that the step may take
_SAVING_S = 25.0  # of the training step's time: to start, and to save at the end
# for training and evaluation: the least, and what benchmarks of less worth leave
_TRAINS_S, _TRAINS_WELL_S = (100.0, 200.0)


@dataclass(frozen=True)
class Step:
    """A command. `why_not`: the reason to skip it; `needs`: what an earlier step must have made. `leaves_s`:
    so much time it leaves for training, if that is to come."""

    name: str
    command: tuple[str, ...] = ()
    limit_s: float = 60.0
    least_s: float = 10.0  # with less it is not started
    leaves_s: float = 0.0
    grace_s: float = 5.0  # to end by SIGTERM
    is_measurement: bool = True
    why_not: str = ""
    needs: Path | None = None

    @property
    def kind(self) -> str:
        return self.name.split()[0]

    @property
    def missing(self) -> str:
        return f"there is no {self.needs.name}" if self.needs and not self.needs.exists() else ""

    def filled(self, report: Path, limit_s: float) -> list[str]:
        minutes = max(0.1, (limit_s - _SAVING_S) / 60.0)
        return [{REPORT: str(report), MINUTES: f"{minutes:.2f}"}.get(word, word) for word in self.command]


@dataclass(frozen=True)
class Training:
    """What is trained, from where, on which data."""

    config: str
    init: str  # model that it starts from; empty: the configuration's
    resume: str  # results of an earlier run to go on with; empty: begin
    data: tuple[str, ...]  # NAME=PATH each
    out: Path
    device: str


KINDS = ("tests", "benchmark", "kernels", "training", "evaluation")


def environment(device: str) -> Step:
    return Step(
        "environment",
        (sys.executable, "-m", "gpu.environment", "--device", device, "--json", REPORT),
        90.0,
        is_measurement=False,
    )


def inputs(training: Training) -> Step:
    """Wrong data or settings are told before anything is measured, not when it is training's turn."""
    return Step("inputs", (*_training_command(training), "--check"), 90.0, is_measurement=False)


def plan(training: Training, wanted: Sequence[str] = KINDS) -> list[Step]:
    """The steps of the kinds `wanted` that do something. On a CPU all of them are small, to see that they
    run."""
    on_gpu = training.device != "cpu"
    steps = [
        _tests(on_gpu),
        *(_large_benchmarks(training.device) if on_gpu else _small_benchmarks()),
        *_training(training),
    ]
    needed = "training" in wanted, "evaluation" in wanted  # else nothing has to be left
    return [
        step if needed[step.kind == "training"] else replace(step, leaves_s=0.0)
        for step in steps
        if step.kind in wanted
    ]


def _tests(on_gpu: bool) -> Step:
    why_not = "" if on_gpu else "needs CUDA"
    if on_gpu and importlib.util.find_spec("pytest") is None:
        why_not = "pytest is not installed"
    return Step(
        "tests",
        (sys.executable, "-m", "pytest", "-q", "-s", "-ra", "-p", "no:cacheprovider", *TESTS),
        180.0,
        20.0,
        _TRAINS_S,
        why_not=why_not,
    )


def _large_benchmarks(device: str) -> list[Step]:
    networks = {
        "mit_b0": ("--backbone", "mit_b0", "--classes", "11", "--size", "360x480"),
        "mit_b5": ("--backbone", "mit_b5", "--classes", "124", "--size", "480x853"),
        "mit_b2": ("--backbone", "mit_b2", "--classes", "124", "--size", "480x853"),
    }
    whole = ("--precision", "f16", "--seconds", "15", "--only", "per_frame,dcfm,guarantee,steps")
    # apart: a profiler that fails costs no other figure
    kernels = ("--precision", "f16", "--only", "kernels")
    short = ("--precision", "bf16", "--seconds", "6", "--only", "dcfm,guarantee")
    return [
        *(
            _benchmark(
                f"benchmark {name} f16",
                device,
                network,
                whole,
                100.0,
                30.0,
                _TRAINS_WELL_S if name == "mit_b2" else _TRAINS_S,
            )
            for name, network in networks.items()
        ),
        *(
            _benchmark(f"kernels {name} f16", device, network, kernels, 60.0, 20.0, _TRAINS_WELL_S)
            for name, network in networks.items()
            if name != "mit_b2"
        ),
        *(
            _benchmark(f"benchmark {name} bf16", device, network, short, 60.0, 25.0, _TRAINS_WELL_S)
            for name, network in networks.items()
        ),
    ]


def _small_benchmarks() -> list[Step]:
    groups = {"mit_b0": "per_frame,dcfm,steps,kernels", "mit_b5": "kernels", "mit_b2": "dcfm"}
    return [
        *(
            _benchmark(
                f"benchmark {name} f32",
                "cpu",
                ("--backbone", name, "--classes", "11", "--size", "64x96"),
                ("--backend", "torch", "--seconds", "0.1", "--only", only),
            )
            for name, only in groups.items()
        ),
        Step("benchmark f16, bf16", why_not="on a CPU PyTorch's backend computes in f32"),
    ]


def _benchmark(
    name: str,
    device: str,
    network: Sequence[str],
    how: Sequence[str],
    limit_s: float = 60.0,
    least_s: float = 10.0,
    leaves_s: float = 0.0,
) -> Step:
    command = (
        sys.executable,
        "-m",
        "dcfm_ros",
        "benchmark",
        "--device",
        device,
        *network,
        *how,
        "--json",
        REPORT,
    )
    return Step(name, command, limit_s, least_s, leaves_s)


def _training(training: Training) -> list[Step]:
    labelled = next((one.partition("=")[2] for one in training.data), "synthetic:1000")
    evaluate = (
        sys.executable,
        "-m",
        "dcfm_ros",
        "evaluate",
        labelled,
        "--model",
        str(training.out / "model"),
        "--split",
        "val",
        "--modes",
        "causal",
        "--alignments",
        "flow",
        "--intervals",
        "5",
        "--aks",
        "none",
        "--max-age",
        "10",
        "--device",
        training.device,
        "--backend",
        "torch",
        "--out",
        "",
        "--json",
        REPORT,
    )
    limit_s, evaluating_s = (math.inf, 45.0) if training.device != "cpu" else (50.0, 10.0)
    return [
        Step(
            "training",
            (*_training_command(training), "--minutes", MINUTES),
            limit_s,
            40.0,
            evaluating_s,
            20.0,
        ),
        Step("evaluation", evaluate, 90.0, 10.0, needs=training.out / "model"),
    ]


def _training_command(training: Training) -> tuple[str, ...]:
    small = (
        ()
        if training.device != "cpu"
        else (
            "data.sources.0.clips=4",
            "phases.0.batch=2",
            "phases.0.height=64",
            "phases.0.width=96",
            "phases.0.iterations=200",
            "warmup=10",
        )
    )
    options = [*(("--data", one) for one in training.data), *(("--set", change) for change in small)]
    options += [
        (name, value) for name, value in (("--init", training.init), ("--resume", training.resume)) if value
    ]
    return (
        sys.executable,
        "-m",
        "gpu.training",
        training.config,
        "--device",
        training.device,
        *(word for option in options for word in option),
        "--out",
        str(training.out),
        "--json",
        REPORT,
    )
