# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The table of inference backends, from which parameters, command lines, launch files, help and error texts
are derived. Standard library only.

To add a backend: its module in `pipeline/backends/`, and an entry in `TABLE` (docs/development.md).
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

_BACKENDS = "dcfm_ros.pipeline.backends"


@dataclass(frozen=True)
class Target:
    """A backend on one kind of processor.

    maker: `module:function` of a function (model, device, precision, sharing, live) -> Backend, with the
        validated arguments of `make_backend`; device is "cpu", "cuda" or "cuda:N", and precision may be
        "auto". Its module is imported when the backend is created
    precisions: of the networks' arithmetic. The backend refuses those that the processor does not support
    rank: `auto` selects the installed backend with the highest rank; 0: never
    """

    maker: str
    precisions: tuple[str, ...]
    rank: int = 0


@dataclass(frozen=True)
class BackendEntry:
    """An inference backend. cpu, gpu: its targets; None if it does not run there"""

    name: str
    description: str  # in a few words, for help texts and documentation
    module: str  # imported by the backend; tells whether it is installed
    install: str  # remedy if it is not installed
    cpu: Target | None = None
    gpu: Target | None = None

    def target(self, on_gpu: bool) -> Target | None:
        return self.gpu if on_gpu else self.cpu

    @property
    def is_installed(self) -> bool:
        return importlib.util.find_spec(self.module) is not None


TABLE = {
    entry.name: entry
    for entry in (
        BackendEntry(
            "torch",
            "PyTorch; on a GPU with CUDA graphs and, where it is installed, Triton",
            "torch",
            "pip install torch",
            cpu=Target(f"{_BACKENDS}.torch_cpu:make", ("f32",), rank=1),
            gpu=Target(f"{_BACKENDS}.cuda.backend:make", ("f32", "bf16", "f16"), rank=1),
        ),
        BackendEntry(
            "openvino",
            "OpenVINO, the faster one on a CPU",
            "openvino",
            "pip install openvino",
            cpu=Target(f"{_BACKENDS}.openvino.backend:make", ("f32", "bf16", "f16", "int8"), rank=2),
        ),
        BackendEntry(
            "tensorrt",
            "TensorRT, whose engines are built for the GPU at hand, which takes minutes",
            "tensorrt",
            "pip install tensorrt-cu12 or tensorrt-cu13, as your driver's CUDA",
            gpu=Target(f"{_BACKENDS}.tensorrt.engine_builder:make", ("f32", "f16")),
        ),
    )
}

BACKENDS = ("auto", *TABLE)
_TARGETS = [target for entry in TABLE.values() for target in (entry.cpu, entry.gpu) if target]
PRECISIONS = ("auto", *dict.fromkeys(precision for target in _TARGETS for precision in target.precisions))
DEVICES = "auto, cpu, cuda or cuda:N"  # N: number of the GPU


def names_that_run(on_gpu: bool) -> tuple[str, ...]:
    """Return the backends for a GPU or for a CPU, installed or not, in the order of preference of `auto`."""
    ranks = {name: target.rank for name, entry in TABLE.items() if (target := entry.target(on_gpu))}
    return tuple(sorted(ranks, key=lambda name: -ranks[name]))


def automatic(on_gpu: bool) -> str:
    """Return the backend that `auto` selects on a GPU or on a CPU."""
    return next(name for name in names_that_run(on_gpu) if TABLE[name].is_installed)
