"""A network in one piece on a backend's engine: what the parts of the pipeline are measured against."""

from __future__ import annotations

import warnings
from typing import Callable

import numpy as np
import torch
from torch import Tensor, nn

from dcfm_ros.pipeline.backends.base import Backend
from dcfm_ros.pipeline.backends.signal_stack import kept_signal_stack

Network = Callable[[np.ndarray], np.ndarray]


def compile_whole(network: nn.Module, size: tuple[int, int], like: Backend) -> Network:
    """`network` compiled for images of size (H, W), by the engine, on the device and in the precision of the backend `like`.

    network: (1, H, W, 3) uint8 to one tensor. The returned function takes (H, W, 3) uint8 and gives what the network gives,
    in host memory, valid until its next call.

    OpenVINO compiles the network as one. PyTorch runs it as it is, on a GPU in float16 autocast.
    """
    if like.name == "openvino":
        return _in_openvino(network, size, like.precision)
    return in_torch(network, like.device, half=like.precision == "f16")


def in_torch(network: nn.Module, device: str, half: bool = False) -> Network:
    """`network` in eager PyTorch on `device`, in float32 or, `half`, float16 autocast; as `compile_whole` else."""
    network = network.to(device)

    def run(image: np.ndarray) -> np.ndarray:
        with torch.inference_mode(), torch.autocast(torch.device(device).type, torch.float16, enabled=half):
            return network(torch.from_numpy(image)[None].to(device)).cpu().numpy()

    return run


def _in_openvino(network: nn.Module, size: tuple[int, int], precision: str) -> Network:
    import openvino

    image = torch.zeros(1, *size, 3, dtype=torch.uint8)
    with warnings.catch_warnings(), torch.no_grad():  # of values that depend on the shapes: these are fixed here
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        converted = openvino.convert_model(network, example_input=image, input=[tuple(image.shape)])
    with kept_signal_stack():  # the first call loads the CPU plugin
        compiled = openvino.Core().compile_model(converted, "CPU", {
            "INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1"})
    request = compiled.create_infer_request()
    return lambda image: request.infer([image[None]], share_inputs=True, share_outputs=True)[0]
