"""OpenVINO backend: the three parts compiled for each input size on the CPU."""

from __future__ import annotations

import threading
import warnings
from typing import Callable, NamedTuple

import numpy as np
import openvino
import torch

from dcfm_ros.model.build import Model
from dcfm_ros.model.inference import fold
from dcfm_ros.pipeline.backends.base import MasksOnHost
from dcfm_ros.pipeline.backends.openvino_cache import cached_network, network_key
from dcfm_ros.pipeline.backends.signal_stack import kept_signal_stack


class _Requests(NamedTuple):
    """Infer requests for one size of S. A request serves one thread at a time."""

    stages: list[openvino.InferRequest]
    fusion: openvino.InferRequest
    contribution: openvino.InferRequest
    decoder: openvino.InferRequest


class OpenVINOBackend(MasksOnHost):
    """Features are float32 arrays of their own; float32 throughout, so masks equal those of PyTorch."""

    name = "openvino"
    device = "cpu"

    def __init__(self, model: Model, threads: int = 0):
        self.per_frame = model.config.architecture == "per_frame"
        self._parts = fold(model.cpu())
        self._core = openvino.Core()
        self._settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1"}
        if threads:
            self._settings["INFERENCE_NUM_THREADS"] = str(threads)
        self._by_size: dict[tuple[int, int], openvino.InferRequest] = {}   # shallow paths, by the size of the image
        self._by_grid: dict[tuple[int, int], _Requests] = {}               # all else, by the size of S
        self._compiling = threading.Lock()

    def shallow(self, image: np.ndarray) -> np.ndarray:
        return _infer(self._shallow_request(image.shape[:2]), image[None]).copy()

    def deep(self, shallow: np.ndarray, give_way: Callable[[], None] = lambda: None) -> np.ndarray:
        requests = self._by_grid[shallow.shape[2:]]
        features = [shallow]
        for stage in requests.stages:
            give_way()
            features.append(_infer(stage, features[-1]))
        give_way()
        fused = _infer(requests.fusion, *features[1:])
        give_way()
        return _infer(requests.contribution, fused).copy()

    def decode(self, shallow: np.ndarray, commons: list[np.ndarray]) -> np.ndarray:
        request = self._by_grid[shallow.shape[2:]].decoder
        logits = _infer(request, shallow, commons[0])
        for common in commons[1:]:
            logits = logits.copy()
            logits += _infer(request, shallow, common)
        return logits[0]

    def _shallow_request(self, size: tuple[int, int]) -> openvino.InferRequest:
        """The shallow path for images of that size; what follows it is compiled along with it."""
        with self._compiling:
            if size not in self._by_size:
                image = torch.zeros(1, *size, 3, dtype=torch.uint8)
                with torch.no_grad():
                    shallow = self._parts.shallow(image)
                grid = tuple(shallow.shape[2:])
                if grid not in self._by_grid:
                    self._by_grid[grid] = self._compile(shallow)
                self._by_size[size] = self._request(self._parts.shallow, image)
            return self._by_size[size]

    def _compile(self, shallow: torch.Tensor) -> _Requests:
        parts = self._parts
        with torch.no_grad():
            features = [shallow]
            for stage in parts.deep.stages:
                features.append(stage(features[-1]))
            fused = parts.deep.fusion(*features[1:])
            common = parts.deep.contribution(fused)
        return _Requests(
            stages=[self._request(stage, feature) for stage, feature in zip(parts.deep.stages, features)],
            fusion=self._request(parts.deep.fusion, *features[1:]),
            contribution=self._request(parts.deep.contribution, fused),
            decoder=self._request(parts.decoder, features[0], common),
        )

    def _request(self, part: torch.nn.Module, *example: torch.Tensor) -> openvino.InferRequest:
        shapes = [tuple(tensor.shape) for tensor in example]

        def convert() -> openvino.Model:
            with warnings.catch_warnings():  # of values that depend on the shapes: these are fixed here
                warnings.simplefilter("ignore", torch.jit.TracerWarning)
                return openvino.convert_model(part, example_input=example, input=shapes)

        network = cached_network(self._core, network_key(part, shapes), convert)
        with kept_signal_stack():  # the first call loads the CPU plugin
            return self._core.compile_model(network, "CPU", self._settings).create_infer_request()


def _infer(request: openvino.InferRequest, *inputs: np.ndarray) -> np.ndarray:
    """Run without copies; the result is the request's own memory, valid until its next run."""
    return request.infer(list(inputs), share_inputs=True, share_outputs=True)[0]
