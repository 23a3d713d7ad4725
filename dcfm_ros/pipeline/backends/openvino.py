"""OpenVINO backend: the three parts compiled for each input size on the CPU."""

from __future__ import annotations

import threading
from typing import NamedTuple

import numpy as np
import openvino
import torch

from dcfm_ros.model.dcfm import DCFM
from dcfm_ros.model.inference import fold
from dcfm_ros.pipeline.backends.openvino_cache import cached_network, network_key


class _Requests(NamedTuple):
    """Infer requests for one input size. A request serves one thread at a time."""

    shallow: openvino.InferRequest
    deep: openvino.InferRequest
    decoder: openvino.InferRequest


class OpenVINOBackend:
    """Features are float32 arrays of their own; float32 throughout, so masks equal those of PyTorch."""

    name = "openvino"
    device = "cpu"

    def __init__(self, model: DCFM, threads: int = 0):
        self._parts = fold(model.cpu())
        self._core = openvino.Core()
        self._settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1"}
        if threads:
            self._settings["INFERENCE_NUM_THREADS"] = str(threads)
        self._by_grid: dict[tuple[int, int], _Requests] = {}  # by the size of the features, stride 4
        self._compiling = threading.Lock()

    def shallow(self, image: np.ndarray) -> np.ndarray:
        return _infer(self._requests(image.shape[0] // 4, image.shape[1] // 4).shallow, image[None]).copy()

    def deep(self, shallow: np.ndarray) -> np.ndarray:
        return _infer(self._requests(*shallow.shape[2:]).deep, shallow).copy()

    def decode(self, shallow: np.ndarray, commons: list[np.ndarray]) -> np.ndarray:
        request = self._requests(*shallow.shape[2:]).decoder
        logits = _infer(request, shallow, commons[0])
        for common in commons[1:]:
            logits = logits.copy()
            logits += _infer(request, shallow, common)
        return logits[0]

    def _requests(self, rows: int, columns: int) -> _Requests:
        with self._compiling:
            if (rows, columns) not in self._by_grid:
                self._by_grid[rows, columns] = self._compile(rows, columns)
            return self._by_grid[rows, columns]

    def _compile(self, rows: int, columns: int) -> _Requests:
        image = torch.zeros(1, 4 * rows, 4 * columns, 3, dtype=torch.uint8)
        with torch.no_grad():
            shallow = self._parts.shallow(image)
            common = self._parts.deep(shallow)
        examples = (self._parts.shallow, (image,)), (self._parts.deep, (shallow,)), (self._parts.decoder, (shallow, common))
        return _Requests(*(self._request(part, example) for part, example in examples))

    def _request(self, part: torch.nn.Module, example: tuple[torch.Tensor, ...]) -> openvino.InferRequest:
        shapes = [tuple(tensor.shape) for tensor in example]
        network = cached_network(
            self._core, network_key(part, shapes),
            lambda: openvino.convert_model(part, example_input=example, input=shapes))
        return self._core.compile_model(network, "CPU", self._settings).create_infer_request()


def _infer(request: openvino.InferRequest, *inputs: np.ndarray) -> np.ndarray:
    """Run without copies; the result is the request's own memory, valid until its next run."""
    return request.infer(list(inputs), share_inputs=True, share_outputs=True)[0]
