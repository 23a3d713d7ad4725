# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Monolithic networks on a backend's engine: the baseline for measuring the pipeline's separate parts."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from dcfm_ros.pipeline.backends.base import Backend
from dcfm_ros.pipeline.backends.openvino.signal_stack import kept_signal_stack

Network = Callable[[np.ndarray], np.ndarray]
_HALVES = {"f16": torch.float16, "bf16": torch.bfloat16}


class Monolithic(NamedTuple):
    """A compiled monolithic network. engine: name of the inference engine"""

    run: Network
    engine: str


def compile_monolithic(network: nn.Module, size: tuple[int, int], like: Backend) -> Monolithic:
    """Compile `network` for images of size (H, W), on the device and in the precision of the backend `like`.

    If that is OpenVINO, it compiles the network as a whole. Otherwise PyTorch runs it unchanged, with weights
    in half precision.

    network: from (1, H, W, 3) uint8 to one tensor. `run` takes (H, W, 3) uint8 and returns the network's
        output in host memory, valid until its next call
    """
    if like.name == "openvino":
        return Monolithic(_in_openvino(network, size, like.precision), "OpenVINO")
    return Monolithic(in_torch(network, like.device, like.precision), "PyTorch")


def in_torch(network: nn.Module, device: str, precision: str = "f32") -> Network:
    """`network`, moved to `device`, in eager PyTorch, as the `run` of `compile_monolithic`. In half precision
    it is a copy with such weights in channels-last layout; its forward pass brings images to the type of its
    weights."""
    if half := _HALVES.get(precision):
        network = copy.deepcopy(network).to(device=device, dtype=half)
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    else:
        network = network.to(device)

    def run(image: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return network(torch.from_numpy(image)[None].to(device)).cpu().numpy()

    return run


def _in_openvino(network: nn.Module, size: tuple[int, int], precision: str) -> Network:
    import openvino

    from dcfm_ros.pipeline.backends.openvino.conversion import converted

    model = converted(network, torch.zeros(1, *size, 3, dtype=torch.uint8))
    with kept_signal_stack():  # the first call loads the CPU plugin
        compiled = openvino.Core().compile_model(
            model,
            "CPU",
            {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1"},
        )
    request = compiled.create_infer_request()
    return lambda image: request.infer([image[None]], share_inputs=True, share_outputs=True)[0]
