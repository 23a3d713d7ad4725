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

from dcfm_ros.model.stored import AnyModel
from dcfm_ros.pipeline.backends.base import BackendError, MasksOnHost, Motions, Sharing, with_motions
from dcfm_ros.pipeline.backends.openvino.buffers import Buffers
from dcfm_ros.pipeline.backends.openvino.graphs import COMMON, SHALLOW_FEATURE, Graphs
from dcfm_ros.pipeline.backends.openvino.signal_stack import kept_signal_stack
from dcfm_ros.pipeline.backends.openvino.slices import SHARE, plan
from dcfm_ros.pipeline.backends.openvino.store import GraphStore
from dcfm_ros.pipeline.backends.sampling import sampled


class _Slice(NamedTuple):
    """A slice of the deep path, by the names of its input and output."""

    input: str
    output: str
    request: openvino.InferRequest


class _Band(NamedTuple):
    """A band of rows of the common contribution."""

    rows: slice
    input_rows: list[slice]  # of each input
    request: openvino.InferRequest


class _Requests(NamedTuple):
    """Infer requests for one image size. Each request is used by one thread at a time."""

    shallow: openvino.InferRequest
    slices: list[_Slice]
    inputs: list[str]  # of the bands
    bands: list[_Band]
    commons: Buffers
    aligned: Buffers
    decoder: openvino.InferRequest | None  # None for a per-frame model


def make(model: AnyModel, device: str, precision: str, sharing: Sharing, live: bool) -> OpenVINOBackend:
    """Create the backend, for the table of backends."""
    return OpenVINOBackend(model, precision, sharing)


class OpenVINOBackend(MasksOnHost):
    """Runs a model with OpenVINO on the CPU. Features are separate float32 arrays (1, h, w, channels)."""

    name = "openvino"
    device = "cpu"

    def __init__(self, model: AnyModel, precision: str = "auto", sharing: Sharing = Sharing.NONE):
        """precision: f32, with which masks equal those of PyTorch; bf16 or f16 if the processor supports it;
            or auto
        sharing: with CORES the deep path gets one half of the cores and everything else the other; otherwise
            both use all cores
        """
        self.per_frame = model.config.architecture == "per_frame"
        self._store = GraphStore(model)
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
        self._by_size: dict[tuple[int, int], _Requests] = {}  # by image size
        self._by_grid: dict[tuple[int, int], _Requests] = {}  # the same, by the size of S
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
            graphs = self._store.graphs(self._core, size)
            height, width = graphs.shallow_shape[1:3]
            self._by_size[size] = self._by_grid[height, width] = self._compile_all(graphs)

    def forget(self, size: tuple[int, int]) -> None:
        """See `base.forget_size`; a call running on another thread is not affected."""
        if (requests := self._by_size.pop(size, None)) is not None:
            self._by_grid = {grid: other for grid, other in self._by_grid.items() if other is not requests}

    def shallow(self, image: np.ndarray) -> np.ndarray:
        size = image.shape[:2]
        if size not in self._by_size:
            self.prepare(size)
        request = self._by_size[size].shallow
        return _infer_into(np.empty(request.get_output_tensor(0).shape, np.float32), request, image[None])

    def deep(self, shallow: np.ndarray, between_slices: Callable[[], None] = lambda: None) -> np.ndarray:
        requests = self._by_grid[shallow.shape[1:3]]
        features = {SHALLOW_FEATURE: shallow}
        for part in requests.slices:
            between_slices()
            features[part.output] = _infer(part.request, features[part.input])
        inputs, common = [features[name] for name in requests.inputs], requests.commons.take()
        for band in requests.bands:
            between_slices()
            _infer_into(
                common[:, band.rows],
                band.request,
                *(feature[:, rows] for feature, rows in zip(inputs, band.input_rows)),
            )
        return common

    def decode(self, shallow: np.ndarray, commons: list[np.ndarray], motions: Motions = ()) -> np.ndarray:
        requests = self._by_grid[shallow.shape[1:3]]
        first, *others = (self._aligned(requests, *pair) for pair in with_motions(commons, motions))
        logits = self._logits(requests, shallow, first)
        for common in others:
            logits = logits.copy()  # the request's own memory is overwritten by the next run
            logits += self._logits(requests, shallow, common)
        return logits[0].transpose(2, 0, 1)

    def _logits(self, requests: _Requests, shallow: np.ndarray, common: np.ndarray) -> np.ndarray:
        return common if requests.decoder is None else _infer(requests.decoder, shallow, common)

    def _aligned(self, requests: _Requests, common: np.ndarray, motion: np.ndarray | None) -> np.ndarray:
        if motion is None or self.per_frame:
            return common
        return sampled(common, motion, requests.aligned.take())

    def _compile_all(self, graphs: Graphs) -> _Requests:
        planned, everything = plan(graphs, self._share), slice(None)
        deep = self._deep_settings
        bands = [
            _Band(band.rows, band.input_rows, self._request(band.network, deep))
            for band in map(graphs.band, planned.bands)
        ] or [
            _Band(
                everything,
                [everything] * len(planned.inputs),
                self._request(graphs.part(planned.inputs, COMMON), deep),
            )
        ]
        decoder = graphs.decoder()
        return _Requests(
            self._request(graphs.shallow(), self._settings),
            [
                _Slice(first, last, self._request(graphs.part([first], last), deep))
                for first, last in planned.slices
            ],
            planned.inputs,
            bands,
            Buffers(tuple(graphs.common_shape)),
            Buffers(tuple(graphs.common_shape)),
            None if decoder is None else self._request(decoder, self._settings),
        )

    def _request(self, network: openvino.Model, settings: dict[str, str]) -> openvino.InferRequest:
        with kept_signal_stack():  # the first call loads the CPU plugin
            return self._core.compile_model(network, "CPU", settings).create_infer_request()


def _infer(request: openvino.InferRequest, *inputs: np.ndarray) -> np.ndarray:
    """Run without copies; the result is a view of the request's memory, valid until its next run."""
    return request.infer(list(inputs), share_inputs=True, share_outputs=True)[0]


def _infer_into(output: np.ndarray, request: openvino.InferRequest, *inputs: np.ndarray) -> np.ndarray:
    """Run without copies, writing into `output`, which is returned."""
    request.set_output_tensor(0, openvino.Tensor(output, shared_memory=True))
    request.infer(list(inputs), share_inputs=True, share_outputs=True)
    return output
