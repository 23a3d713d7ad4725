# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Backends run the three parts of a model. This is the only place that names them."""

from __future__ import annotations

import importlib.util
import sys

from dcfm_ros.model.build import Model
from dcfm_ros.pipeline.backends.base import Backend, BackendError, Sharing
from dcfm_ros.pipeline.settings import BACKENDS, DEVICES, PRECISIONS

# OpenVINO then takes its own stub instead: conversions report to nobody, and fork no process to do so.
sys.modules.setdefault("openvino_telemetry", None)


def make_backend(
    name: str,
    model: Model,
    device: str = "auto",
    precision: str = "auto",
    sharing: Sharing = Sharing.NONE,
    live: bool = False,
) -> Backend:
    """The backend of that name; `auto` is torch on a GPU, OpenVINO on a CPU where it is installed, else
    torch.

    device: "auto", "cpu", "cuda" or "cuda:N"; OpenVINO runs on the CPU only, TensorRT on GPUs only.
    precision: of the networks' arithmetic. `auto` is what the processor is made for: f16 on a GPU, bf16 on a
    CPU that has it, else f32. In f32 backends agree to 1e-4 in logits; in bf16 about one pixel in a thousand
    changes its class.
    sharing: of a CPU; OpenVINO cuts and places the deep path accordingly. In bf16 masks depend on it in a few
        pixels.
    live: while TensorRT builds its engines, which takes minutes, torch serves. Otherwise the first image
        waits for them.
    """
    import torch

    if name not in BACKENDS:
        raise BackendError(f"unknown backend {name!r}: use one of {', '.join(BACKENDS)}")
    if device not in ("auto", "cpu") and not device.startswith("cuda"):
        raise BackendError(f"unknown device {device!r}: use {DEVICES}")
    if precision not in PRECISIONS:
        raise BackendError(f"unknown precision {precision!r}: use one of {', '.join(PRECISIONS)}")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise BackendError(
            f"device {device!r}: this PyTorch sees no GPU; use device:=cpu or install a CUDA build of torch"
        )
    on_gpu = torch.cuda.is_available() if device == "auto" else device.startswith("cuda")
    has_openvino = importlib.util.find_spec("openvino") is not None
    if name == "auto":
        name = "openvino" if has_openvino and not on_gpu else "torch"
    if name == "openvino":
        if not has_openvino:
            raise BackendError(
                "backend 'openvino' is not installed: pip install openvino, or use backend:=torch"
            )
        if device.startswith("cuda"):
            raise BackendError(f"backend 'openvino' runs on the CPU, not on {device!r}: use backend:=torch")
        from dcfm_ros.pipeline.backends.openvino.backend import OpenVINOBackend

        return OpenVINOBackend(model, precision, sharing)
    if name == "tensorrt":
        if not on_gpu:
            raise BackendError(
                "backend 'tensorrt' needs an NVIDIA GPU that PyTorch sees: use backend:=openvino or torch"
            )
        from dcfm_ros.pipeline.backends.tensorrt.engine_builder import tensorrt_backend

        return tensorrt_backend(model, "cuda" if device == "auto" else device, precision, live)
    if on_gpu:
        from dcfm_ros.pipeline.backends.cuda.backend import CUDABackend

        return CUDABackend(model, "cuda" if device == "auto" else device, precision)
    from dcfm_ros.pipeline.backends.torch_cpu import TorchBackend

    if precision not in ("auto", "f32"):
        raise BackendError(
            f"precision {precision!r}: backend 'torch' computes in f32 on a CPU; use precision:=f32"
        )
    return TorchBackend(model)


__all__ = ["BACKENDS", "PRECISIONS", "Backend", "BackendError", "Sharing", "make_backend"]
