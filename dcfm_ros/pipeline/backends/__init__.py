# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Inference backends: each runs the three parts of a model. Listed in `pipeline/backend_table.py`."""

from __future__ import annotations

import ctypes
from pkgutil import resolve_name

from dcfm_ros.model.stored import AnyModel
from dcfm_ros.pipeline.backend_table import BACKENDS, DEVICES, PRECISIONS, TABLE, automatic, names_that_run
from dcfm_ros.pipeline.backends.base import Backend, BackendError, Sharing


def make_backend(
    name: str,
    model: AnyModel,
    device: str = "auto",
    precision: str = "auto",
    sharing: Sharing = Sharing.NONE,
    live: bool = False,
) -> Backend:
    """The backend of that name. Raises BackendError, which names the remedy, where it cannot be had.

    name: `auto` is torch on a GPU, OpenVINO on a CPU where it is installed, else torch.
    device: "auto" (a GPU, where PyTorch sees one that the backend runs on), "cpu", "cuda" or "cuda:N".
    precision: of the networks' arithmetic. `auto` is what the processor is made for: f16 on a GPU, bf16 on a
        CPU that has it, else f32. In f32 backends agree to 1e-4 in logits; in bf16 about one pixel in a
        thousand changes its class. int8 needs a model that was exported for it.
    sharing: of a CPU; OpenVINO cuts and places the deep path accordingly. In bf16 masks depend on it in a few
        pixels.
    live: while TensorRT builds its engines, which takes minutes, torch serves. Otherwise the first image
        waits for them.
    """
    if name not in BACKENDS:
        raise BackendError(f"unknown backend {name!r}: use one of {', '.join(BACKENDS)}")
    if device not in ("auto", "cpu") and not device.startswith("cuda"):
        raise BackendError(f"unknown device {device!r}: use {DEVICES}")
    if precision not in PRECISIONS:
        raise BackendError(f"unknown precision {precision!r}: use one of {', '.join(PRECISIONS)}")
    has_gpu = sees_gpu()
    if device.startswith("cuda") and not has_gpu:
        raise BackendError(
            f"device {device!r}: this PyTorch sees no GPU; use device cpu or install a CUDA build of torch"
        )
    on_gpu = has_gpu if device == "auto" else device != "cpu"
    entry = TABLE[automatic(on_gpu) if name == "auto" else name]
    if device == "auto" and entry.gpu is None:
        on_gpu = False
    target = entry.target(on_gpu)
    if target is None:
        needs = "an NVIDIA GPU that PyTorch sees" if entry.gpu else f"a CPU, and does not run on {device!r}"
        raise BackendError(f"backend {entry.name!r} needs {needs}: use backend {_or(names_that_run(on_gpu))}")
    if not entry.is_installed:
        raise BackendError(
            f"backend {entry.name!r} is not installed: {entry.install}, or use backend "
            f"{_or(other for other in names_that_run(on_gpu) if TABLE[other].is_installed)}"
        )
    if precision not in ("auto", *target.precisions):
        raise BackendError(
            f"precision {precision!r}: backend {entry.name!r} computes in {_or(target.precisions)} on a "
            f"{'GPU' if on_gpu else 'CPU'}; use precision {_or(target.precisions)}"
        )
    if device == "auto":
        device = "cuda" if on_gpu else "cpu"
    return resolve_name(target.maker)(model, device, precision, sharing, live)


def sees_gpu() -> bool:
    """Whether PyTorch sees an NVIDIA GPU. It is not asked, nor imported, where there is no driver for one."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    import torch

    return torch.cuda.is_available()


def _or(names) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


__all__ = ["BACKENDS", "PRECISIONS", "Backend", "BackendError", "Sharing", "make_backend"]
