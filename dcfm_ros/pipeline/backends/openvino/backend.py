# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""OpenVINO backend: the parts of a model compiled for each input size on the CPU."""

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
    """Some rows of the common contribution."""

    rows: slice
    needs: list[slice]  # rows of each stage's output
    request: openvino.InferRequest


class _Requests(NamedTuple):
    """Infer requests for one size of S. A request serves one thread at a time."""

    stages: list[list[openvino.InferRequest]]  # slices of each
    bands: list[_Band]
    commons: Buffers
    moved: Buffers
    decoder: openvino.InferRequest


class OpenVINOBackend(MasksOnHost):
    """Features are float32 arrays (1, h, w, channels) of their own.

    Channels last is how the plugin computes: any other layout between two networks is turned over at both
    ends, which for the common contribution costs more than its arithmetic.
    """

    name = "openvino"
    device = "cpu"

    def __init__(self, model: Model, precision: str = "auto", sharing: Sharing = Sharing.NONE):
        """precision: f32, with which masks equal those of PyTorch; bf16 or f16 where the processor computes
            in it; auto.
        sharing: with CORES the deep path has one half of the cores, everything else the other; otherwise each
            has all.
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
        if (
            sharing is Sharing.CORES
        ):  # threads are not bound to cores: each network would bind its own to the same ones
            cores = len(os.sched_getaffinity(0))
            for settings, threads in (
                (self._deep_settings, cores // 2),
                (self._settings, cores - cores // 2),
            ):
                settings |= {"INFERENCE_NUM_THREADS": str(max(1, threads)), "ENABLE_CPU_PINNING": "NO"}
        self._share = (
            SHARE if sharing is Sharing.TURNS else math.inf
        )  # of a frame's work, for a slice of the deep path
        self._by_size: dict[
            tuple[int, int], openvino.InferRequest
        ] = {}  # shallow paths, by the size of the image
        self._by_grid: dict[tuple[int, int], _Requests] = {}  # all else, by the size of S
        self._compiling = threading.Lock()

    def _choose(self, precision: str) -> str:
        with kept_signal_stack():  # the first question loads the CPU plugin
            able = {
                name.lower().replace("fp", "f")
                for name in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
            }
        if precision == "auto":
            return "bf16" if "bf16" in able else "f32"
        if precision not in able:
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
        """As `base.forget_size`; a call under way on another thread ends well."""
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
                *(output[:, rows] for output, rows in zip(outputs, band.needs)),
            )
        return common

    def decode(self, shallow: np.ndarray, commons: list[np.ndarray], motions: Motions = ()) -> np.ndarray:
        requests = self._by_grid[shallow.shape[1:3]]
        first, *others = (self._moved(requests, *pair) for pair in with_motions(commons, motions))
        logits = _infer(requests.decoder, shallow, first)
        for common in others:
            logits = logits.copy()  # out of the request's own memory
            logits += _infer(requests.decoder, shallow, common)
        return logits[0].transpose(2, 0, 1)

    def _moved(self, requests: _Requests, common: np.ndarray, motion: np.ndarray | None) -> np.ndarray:
        if motion is None or self.per_frame:
            return common
        return sampled(common, motion, requests.moved.take())

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
                    self._request(self._deep_settings, ChannelsLast(Conclusion(deep)), *outputs),
                )
            ]
            if not planned.bands
            else []
        )
        for band in planned.bands:
            needs = [slice(*rows) for rows in band.needs]
            bands.append(
                _Band(
                    slice(*band.rows),
                    needs,
                    self._request(
                        self._deep_settings, band, *(output[:, rows] for output, rows in zip(outputs, needs))
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


def _infer_into(output: np.ndarray, request: openvino.InferRequest, *inputs: np.ndarray) -> np.ndarray:
    """Run without copies; returns `output`."""
    request.set_output_tensor(0, openvino.Tensor(output, shared_memory=True))
    request.infer(list(inputs), share_inputs=True, share_outputs=True)
    return output
