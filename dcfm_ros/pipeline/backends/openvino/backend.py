# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""OpenVINO backend: compiles the parts of a model for each input size on the CPU."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import openvino
import torch
from torch import Tensor, nn

from dcfm_ros.model.build import Model
from dcfm_ros.model.inference import DeepPath, fold
from dcfm_ros.pipeline.backends.base import BackendError, MasksOnHost, Motions, Sharing, with_motions
from dcfm_ros.pipeline.backends.openvino.buffers import Buffers
from dcfm_ros.pipeline.backends.openvino.network_cache import cached_network, converted, network_key
from dcfm_ros.pipeline.backends.openvino.signal_stack import kept_signal_stack
from dcfm_ros.pipeline.backends.openvino.slices import SHARE, Plan, plan
from dcfm_ros.pipeline.backends.sampling import sampled


class _Band(NamedTuple):
    """A band of rows of the common contribution."""

    rows: slice
    input_rows: list[slice]  # rows of each stage's output
    request: openvino.InferRequest


class _Requests(NamedTuple):
    """Infer requests for one size of S. Each request is used by one thread at a time."""

    stages: list[list[openvino.InferRequest]]  # the slices of each stage
    bands: list[_Band]
    commons: Buffers
    aligned: Buffers
    decoder: openvino.InferRequest


def make(model: Model, device: str, precision: str, sharing: Sharing, live: bool) -> OpenVINOBackend:
    """Create the backend, for the table of backends."""
    return OpenVINOBackend(model, precision, sharing)


class OpenVINOBackend(MasksOnHost):
    """Runs a model with OpenVINO on the CPU. Features are separate float32 arrays (1, h, w, channels).

    The plugin computes with channels last: any other layout between two networks is transposed at both ends,
    which costs more than the arithmetic in the case of the common contribution.
    """

    name = "openvino"
    device = "cpu"

    def __init__(self, model: Model, precision: str = "auto", sharing: Sharing = Sharing.NONE):
        """precision: f32, with which masks equal those of PyTorch; bf16 or f16 if the processor supports it;
            or auto
        sharing: with CORES the deep path gets one half of the cores and everything else the other; otherwise
            both use all cores
        """
        self.per_frame = model.config.architecture == "per_frame"
        self._parts = fold(model.cpu())
        self._core = openvino.Core()
        self.precision = self._choose(precision)
        self._settings = {
            "INFERENCE_PRECISION_HINT": self.precision,
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
        }
        self._deep_settings = dict(self._settings)
        if sharing is Sharing.CORES:  # no CPU pinning: each network would pin its threads to the same cores
            cores = len(os.sched_getaffinity(0))
            for settings, threads in (
                (self._deep_settings, cores // 2),
                (self._settings, cores - cores // 2),
            ):
                settings |= {"INFERENCE_NUM_THREADS": str(max(1, threads)), "ENABLE_CPU_PINNING": "NO"}
        # maximum work of a slice of the deep path, relative to a frame's work
        self._share = SHARE if sharing is Sharing.TURNS else math.inf
        self._by_size: dict[tuple[int, int], openvino.InferRequest] = {}  # shallow paths, by image size
        self._by_grid: dict[tuple[int, int], _Requests] = {}  # everything else, by the size of S
        self._compiling = threading.Lock()

    def _choose(self, precision: str) -> str:
        with kept_signal_stack():  # the first query loads the CPU plugin
            supported = {
                name.lower().replace("fp", "f")
                for name in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
            }
        if precision == "auto":
            return "bf16" if "bf16" in supported else "f32"
        if precision not in supported:
            raise BackendError(
                f"precision {precision!r}: this processor does not compute in it; use precision:=f32"
            )
        return precision

    def prepare(self, size: tuple[int, int]) -> None:
        with self._compiling:
            if size in self._by_size:
                return
            image = torch.zeros(1, *size, 3, dtype=torch.uint8)
            with torch.no_grad():
                grid = tuple(self._parts.shallow(image).shape[2:])
            if grid not in self._by_grid:
                self._by_grid[grid] = self._compile(plan(self._parts, image, self._share))
            self._by_size[size] = self._request(self._settings, ChannelsLastOut(self._parts.shallow), image)

    def forget(self, size: tuple[int, int]) -> None:
        """See `base.forget_size`; a call running on another thread is not affected."""
        request = self._by_size.pop(size, None)
        if request is not None:
            self._by_grid.pop(tuple(request.get_output_tensor(0).shape[1:3]))

    def shallow(self, image: np.ndarray) -> np.ndarray:
        size = image.shape[:2]
        if size not in self._by_size:
            self.prepare(size)
        request = self._by_size[size]
        return _infer_into(np.empty(request.get_output_tensor(0).shape, np.float32), request, image[None])

    def deep(self, shallow: np.ndarray, between_slices: Callable[[], None] = lambda: None) -> np.ndarray:
        requests = self._by_grid[shallow.shape[1:3]]
        feature, outputs = shallow, []
        for stage in requests.stages:
            for part in stage:
                between_slices()
                feature = _infer(part, feature)
            outputs.append(feature)
        common = requests.commons.take()
        for band in requests.bands:
            between_slices()
            _infer_into(
                common[:, band.rows],
                band.request,
                *(output[:, rows] for output, rows in zip(outputs, band.input_rows)),
            )
        return common

    def decode(self, shallow: np.ndarray, commons: list[np.ndarray], motions: Motions = ()) -> np.ndarray:
        requests = self._by_grid[shallow.shape[1:3]]
        first, *others = (self._aligned(requests, *pair) for pair in with_motions(commons, motions))
        logits = _infer(requests.decoder, shallow, first)
        for common in others:
            logits = logits.copy()  # the request's own memory is overwritten by the next run
            logits += _infer(requests.decoder, shallow, common)
        return logits[0].transpose(2, 0, 1)

    def _aligned(self, requests: _Requests, common: np.ndarray, motion: np.ndarray | None) -> np.ndarray:
        if motion is None or self.per_frame:
            return common
        return sampled(common, motion, requests.aligned.take())

    def _compile(self, planned: Plan) -> _Requests:
        deep, outputs = self._parts.deep, [_channels_last(output) for output in planned.outputs]
        stages = [
            [
                self._request(self._deep_settings, ChannelsLast(part.module), _channels_last(part.feature))
                for part in stage
            ]
            for stage in planned.stages
        ]
        everything = slice(None)
        bands = (
            [
                _Band(
                    everything,
                    [everything] * len(outputs),
                    self._request(self._deep_settings, ChannelsLast(FusionAndContribution(deep)), *outputs),
                )
            ]
            if not planned.bands
            else []
        )
        for band in planned.bands:
            input_rows = [slice(*rows) for rows in band.input_rows]
            bands.append(
                _Band(
                    slice(*band.rows),
                    input_rows,
                    self._request(
                        self._deep_settings,
                        band,
                        *(output[:, rows] for output, rows in zip(outputs, input_rows)),
                    ),
                )
            )
        common = _channels_last(planned.common)
        decoder = self._request(
            self._settings, ChannelsLast(self._parts.decoder), _channels_last(planned.shallow), common
        )
        return _Requests(stages, bands, Buffers(tuple(common.shape)), Buffers(tuple(common.shape)), decoder)

    def _request(self, settings: dict[str, str], part: nn.Module, *example: Tensor) -> openvino.InferRequest:
        key = network_key(part, [tuple(tensor.shape) for tensor in example])
        network = cached_network(self._core, key, lambda: converted(part, *example))
        with kept_signal_stack():  # the first call loads the CPU plugin
            return self._core.compile_model(network, "CPU", settings).create_infer_request()


class ChannelsLastOut(nn.Module):
    """Wraps a part so that its output is (B, H, W, C)."""

    def __init__(self, part: nn.Module):
        super().__init__()
        self.part = part

    def forward(self, *inputs: Tensor) -> Tensor:
        return _channels_last(self.part(*inputs))


class ChannelsLast(ChannelsLastOut):
    """Wraps a part so that its inputs and its output are (B, H, W, C)."""

    def forward(self, *inputs: Tensor) -> Tensor:
        return super().forward(*(tensor.permute(0, 3, 1, 2) for tensor in inputs))


class FusionAndContribution(nn.Module):
    """Computes the common contribution from the stages' outputs."""

    def __init__(self, deep: DeepPath):
        super().__init__()
        self.fusion, self.contribution = deep.fusion, deep.contribution

    def forward(self, *features: Tensor) -> Tensor:
        return self.contribution(self.fusion(*features))


def _channels_last(tensor: Tensor) -> Tensor:
    return tensor.permute(0, 2, 3, 1)


def _infer(request: openvino.InferRequest, *inputs: np.ndarray) -> np.ndarray:
    """Run without copies; the result is a view of the request's memory, valid until its next run."""
    return request.infer(list(inputs), share_inputs=True, share_outputs=True)[0]


def _infer_into(output: np.ndarray, request: openvino.InferRequest, *inputs: np.ndarray) -> np.ndarray:
    """Run without copies, writing into `output`, which is returned."""
    request.set_output_tensor(0, openvino.Tensor(output, shared_memory=True))
    request.infer(list(inputs), share_inputs=True, share_outputs=True)
    return output
