"""Backends run the three parts of a model. This is the only place that names them."""

from __future__ import annotations

import importlib.util

from dcfm_ros.model.build import Model
from dcfm_ros.pipeline.backends.base import Backend, BackendError

BACKENDS = ("auto", "torch", "openvino")


def make_backend(name: str, model: Model, device: str = "auto") -> Backend:
    """The backend of that name; `auto` is torch on a GPU, OpenVINO on a CPU where it is installed, else torch.

    device: "auto", "cpu" or "cuda"; OpenVINO runs on the CPU only.
    """
    import torch

    if name not in BACKENDS:
        raise BackendError(f"unknown backend {name!r}: use one of {', '.join(BACKENDS)}")
    if device not in ("auto", "cpu") and not device.startswith("cuda"):
        raise BackendError(f"unknown device {device!r}: use auto, cpu or cuda")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise BackendError(f"device {device!r}: this PyTorch sees no GPU; use device:=cpu or install a CUDA build of torch")
    on_gpu = torch.cuda.is_available() if device == "auto" else device.startswith("cuda")
    has_openvino = importlib.util.find_spec("openvino") is not None
    if name == "auto":
        name = "openvino" if has_openvino and not on_gpu else "torch"
    if name == "openvino":
        if not has_openvino:
            raise BackendError("backend 'openvino' is not installed: pip install openvino, or use backend:=torch")
        if device.startswith("cuda"):
            raise BackendError(f"backend 'openvino' runs on the CPU, not on {device!r}: use backend:=torch")
        from dcfm_ros.pipeline.backends.openvino import OpenVINOBackend

        return OpenVINOBackend(model)
    from dcfm_ros.pipeline.backends.torch import TorchBackend

    return TorchBackend(model, ("cuda" if on_gpu else "cpu") if device == "auto" else device)


__all__ = ["BACKENDS", "Backend", "BackendError", "make_backend"]
