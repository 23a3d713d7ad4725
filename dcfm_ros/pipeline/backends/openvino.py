"""OpenVINO backend: the parts of a model compiled for each input size on the CPU."""

from __future__ import annotations

import os
import threading
import time
from typing import Callable, NamedTuple

import numpy as np
import openvino
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcfm_ros.model.build import Model
from dcfm_ros.model.inference import Contribution, DeepPath, fold
from dcfm_ros.pipeline.backends.base import BackendError, MasksOnHost
from dcfm_ros.pipeline.backends.buffers import Buffers
from dcfm_ros.pipeline.backends.openvino_cache import cached_network, converted, network_key
from dcfm_ros.pipeline.backends.signal_stack import kept_signal_stack


_LONGEST_SLICE_MS = 6.0   # of the deep path, as far as blocks are shorter: so long may a frame have to wait


class _Requests(NamedTuple):
    """Infer requests for one size of S. A request serves one thread at a time."""

    stages: list[list[openvino.InferRequest]]   # slices of each
    conclusion: list[openvino.InferRequest]     # the first takes the stages' outputs, the next what it makes of them
    commons: Buffers
    decoder: openvino.InferRequest


class OpenVINOBackend(MasksOnHost):
    """Features are float32 arrays (1, h, w, channels) of their own.

    Channels last is how the plugin computes: any other layout between two networks is turned over at both ends, which for the
    common contribution costs more than its arithmetic.
    """

    name = "openvino"
    device = "cpu"

    def __init__(self, model: Model, precision: str = "auto", concurrent: bool = False):
        """precision: f32, with which masks equal those of PyTorch; bf16 or f16 where the processor computes in it; auto.
        concurrent: the deep path has one half of the cores, everything else the other; otherwise each has all.
        """
        self.per_frame = model.config.architecture == "per_frame"
        self._parts = fold(model.cpu())
        self._core = openvino.Core()
        self.precision = self._choose(precision)
        self._settings = {"INFERENCE_PRECISION_HINT": self.precision, "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1"}
        self._deep_settings = dict(self._settings)
        if concurrent:  # threads are not bound to cores: each network would bind its own to the same ones
            cores = len(os.sched_getaffinity(0))
            for settings, threads in ((self._deep_settings, cores // 2), (self._settings, cores - cores // 2)):
                settings |= {"INFERENCE_NUM_THREADS": str(max(1, threads)), "ENABLE_CPU_PINNING": "NO"}
        self._by_size: dict[tuple[int, int], openvino.InferRequest] = {}   # shallow paths, by the size of the image
        self._by_grid: dict[tuple[int, int], _Requests] = {}               # all else, by the size of S
        self._compiling = threading.Lock()

    def _choose(self, precision: str) -> str:
        with kept_signal_stack():  # the first question loads the CPU plugin
            able = {name.lower().replace("fp", "f") for name in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")}
        if precision == "auto":
            return "bf16" if "bf16" in able else "f32"
        if precision not in able:
            raise BackendError(f"precision {precision!r}: this processor does not compute in it; use precision:=f32")
        return precision

    def prepare(self, size: tuple[int, int]) -> None:
        with self._compiling:
            if size in self._by_size:
                return
            image = torch.zeros(1, *size, 3, dtype=torch.uint8)
            with torch.no_grad():
                shallow = self._parts.shallow(image)
            grid = tuple(shallow.shape[2:])
            if grid not in self._by_grid:
                self._by_grid[grid] = self._compile(shallow)
            self._by_size[size] = self._request(self._settings, ChannelsLastOut(self._parts.shallow), image)

    def shallow(self, image: np.ndarray) -> np.ndarray:
        size = image.shape[:2]
        if size not in self._by_size:
            self.prepare(size)
        request = self._by_size[size]
        return _infer_into(np.empty(request.get_output_tensor(0).shape, np.float32), request, image[None])

    def deep(self, shallow: np.ndarray, give_way: Callable[[], None] = lambda: None) -> np.ndarray:
        requests = self._by_grid[shallow.shape[1:3]]
        feature, outputs = shallow, []
        for stage in requests.stages:
            for part in stage:
                give_way()
                feature = _infer(part, feature)
            outputs.append(feature)
        for part in requests.conclusion[:-1]:
            give_way()
            outputs = [_infer(part, *outputs)]
        give_way()
        return _infer_into(requests.commons.take(), requests.conclusion[-1], *outputs)

    def decode(self, shallow: np.ndarray, commons: list[np.ndarray]) -> np.ndarray:
        request = self._by_grid[shallow.shape[1:3]].decoder
        logits = _infer(request, shallow, commons[0])
        for common in commons[1:]:
            logits = logits.copy()
            logits += _infer(request, shallow, common)
        return logits[0].transpose(2, 0, 1)

    def _compile(self, shallow: Tensor) -> _Requests:
        parts, deep, stages, features = self._parts, self._deep_settings, [], []
        with torch.no_grad():
            feature = shallow
            for stage in parts.deep.stages:
                stages.append(self._stage(stage, feature))
                feature = stage(feature)
                features.append(feature)
            conclusion, inputs = [], features
            for part in self._conclusion():
                conclusion.append(self._request(deep, ChannelsLast(part), *map(_channels_last, inputs)))
                inputs = [part(*inputs)]
            common = inputs[0]
        return _Requests(
            stages, conclusion, Buffers(tuple(conclusion[-1].get_output_tensor(0).shape)),
            self._request(self._settings, ChannelsLast(parts.decoder), _channels_last(shallow), _channels_last(common)))

    def _stage(self, stage: nn.Sequential, feature: Tensor) -> list[openvino.InferRequest]:
        """As one slice, which is faster, where that is short enough, else block by block."""
        whole = self._request(self._deep_settings, ChannelsLast(stage), _channels_last(feature))
        if len(stage) == 1 or _duration_ms(whole) <= _LONGEST_SLICE_MS:
            return [whole]
        slices = []
        for part in stage:
            slices.append(self._request(self._deep_settings, ChannelsLast(part), _channels_last(feature)))
            feature = part(feature)
        return slices

    def _conclusion(self) -> list[nn.Module]:
        """The deep path's last slices. Fusion and contribution as one are faster, but in f32 by little, and too long a slice."""
        deep = self._parts.deep
        if self.precision == "f32" and isinstance(deep.contribution, Contribution):
            return [deep.fusion, ScaledLater(deep.contribution)]
        return [Conclusion(deep)]

    def _request(self, settings: dict[str, str], part: nn.Module, *example: Tensor) -> openvino.InferRequest:
        key = network_key(part, [tuple(tensor.shape) for tensor in example])
        network = cached_network(self._core, key, lambda: converted(part, *example))
        with kept_signal_stack():  # the first call loads the CPU plugin
            return self._core.compile_model(network, "CPU", settings).create_infer_request()


class ChannelsLastOut(nn.Module):
    """A part with its result as (B, H, W, C)."""

    def __init__(self, part: nn.Module):
        super().__init__()
        self.part = part

    def forward(self, *inputs: Tensor) -> Tensor:
        return _channels_last(self.part(*inputs))


class ChannelsLast(ChannelsLastOut):
    """A part with its inputs, too, as (B, H, W, C)."""

    def forward(self, *inputs: Tensor) -> Tensor:
        return super().forward(*(tensor.permute(0, 3, 1, 2) for tensor in inputs))


class ScaledLater(nn.Module):
    """The same contribution as a matrix product of the deep feature as it is, which then gets the length of one. Channels last
    that is a third faster than normalising first."""

    def __init__(self, contribution: Contribution):
        super().__init__()
        self.bottleneck, self.bias = contribution.bottleneck, contribution.bias
        self.weight = nn.Parameter(contribution.weight[:, :, 0, 0].clone())

    def forward(self, deep: Tensor) -> Tensor:
        deep = _channels_last(self.bottleneck(deep))
        length = torch.linalg.vector_norm(deep, dim=3, keepdim=True).clamp_min(1e-12)
        return (F.linear(deep, self.weight) / length + self.bias).permute(0, 3, 1, 2)


class Conclusion(nn.Module):
    """The stages' outputs to the common contribution."""

    def __init__(self, deep: DeepPath):
        super().__init__()
        self.fusion, self.contribution = deep.fusion, deep.contribution

    def forward(self, *features: Tensor) -> Tensor:
        return self.contribution(self.fusion(*features))


def _channels_last(tensor: Tensor) -> Tensor:
    return tensor.permute(0, 2, 3, 1)


def _infer(request: openvino.InferRequest, *inputs: np.ndarray) -> np.ndarray:
    """Run without copies; the result is the request's own memory, valid until its next run."""
    return request.infer(list(inputs), share_inputs=True, share_outputs=True)[0]


def _duration_ms(request: openvino.InferRequest) -> float:
    """The least of five runs; one before them does not count."""
    times = []
    for _ in range(6):
        started = time.perf_counter()
        request.infer(share_inputs=True, share_outputs=True)
        times.append(1e3 * (time.perf_counter() - started))
    return min(times[1:])


def _infer_into(output: np.ndarray, request: openvino.InferRequest, *inputs: np.ndarray) -> np.ndarray:
    """Run without copies; returns `output`."""
    request.set_output_tensor(0, openvino.Tensor(output, shared_memory=True))
    request.infer(list(inputs), share_inputs=True, share_outputs=True)
    return output
