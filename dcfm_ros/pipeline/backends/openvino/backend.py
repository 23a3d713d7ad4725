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
from dcfm_ros.pipeline.backends.fused_decoder import compile_loop
from dcfm_ros.pipeline.backends.openvino.buffers import Buffers
from dcfm_ros.pipeline.backends.openvino.decoders import Decoder, FusedDecoder, GivenLogits, NetworkDecoder
from dcfm_ros.pipeline.backends.openvino.graphs import COMMON, SHALLOW_FEATURE, Graphs
from dcfm_ros.pipeline.backends.openvino.signal_stack import kept_signal_stack
from dcfm_ros.pipeline.backends.openvino.slices import SHARE, plan
from dcfm_ros.pipeline.backends.openvino.store import GraphStore
from dcfm_ros.pipeline.loops import beside


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
    decoder: Decoder

    @property
    def grid(self) -> tuple[int, int]:
        """The size of S."""
        return tuple(self.shallow.get_output_tensor(0).shape[1:3])


def make(model: AnyModel, device: str, precision: str, sharing: Sharing, live: bool) -> OpenVINOBackend:
    """Create the backend, for the table of backends."""
    return OpenVINOBackend(model, precision, sharing)


class OpenVINOBackend(MasksOnHost):
    """Runs a model with OpenVINO on the CPU.

    Features are separate arrays (1, h, w, channels), float32; common contributions are bfloat16, as uint16,
    if the networks compute in it: they are the largest arrays, and each frame reads one.
    """

    name = "openvino"
    device = "cpu"

    def __init__(self, model: AnyModel, precision: str = "auto", sharing: Sharing = Sharing.NONE):
        """precision: f32, with which masks equal those of PyTorch; bf16 or f16 if the processor supports it;
            int8, for which the model was exported, and whose other layers are bf16 if the processor supports
            it, else f32; or auto
        sharing: with CORES the deep path gets one half of the cores and everything else the other; otherwise
            both use all cores
        """
        self.per_frame = model.config.architecture == "per_frame"
        self._core = openvino.Core()
        self.precision, hint = self._choose(precision)
        # of a common contribution for the fused decoder
        self._common_type: type = np.uint16 if hint == "bf16" else np.float32
        with beside(lambda: None if self.per_frame else compile_loop(self._common_type)):
            self._store = GraphStore(model, int8=self.precision == "int8")
        self._settings = {"INFERENCE_PRECISION_HINT": hint, "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1"}
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
        self._state = ""  # in words, while a size is compiled

    def _choose(self, precision: str) -> tuple[str, str]:
        """Return the precision, and that of the layers that are not quantised."""
        with kept_signal_stack():  # the first query loads the CPU plugin
            supported = {
                name.lower().replace("fp", "f")
                for name in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
            }
        native = "bf16" if "bf16" in supported else "f32"
        if precision == "auto":
            return native, native
        if precision not in supported:
            raise BackendError(
                f"precision {precision!r}: this processor does not compute in it; use precision f32"
            )
        return precision, native if precision == "int8" else precision

    def prepare(self, size: tuple[int, int]) -> None:
        with self._compiling:
            if size in self._by_size:
                return
            self._state = f"compiling for images of {size[1]}x{size[0]}"
            try:
                graphs = self._store.graphs(self._core, size)
                requests = self._compile_all(graphs)
                self._by_size[size] = self._by_grid[requests.grid] = requests
            finally:
                self._state = ""

    def status(self) -> dict[str, str]:
        """See `base.status_of`: says what is being compiled."""
        return {"state": state} if (state := self._state) else {}

    def forget(self, size: tuple[int, int]) -> None:
        """See `base.forget_size`; a call running on another thread is not affected."""
        with self._compiling:
            if self._by_size.pop(size, None) is not None:
                self._by_grid = {requests.grid: requests for requests in self._by_size.values()}

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
        decoder = self._by_grid[shallow.shape[1:3]].decoder
        (first, motion), *others = with_motions(commons, motions)
        logits = decoder.logits(shallow, first, motion)
        for common, motion in others:
            logits = logits.copy()  # the decoder may write into the same memory again
            logits += decoder.logits(shallow, common, motion)
        return logits.transpose(2, 0, 1)

    def _compile_all(self, graphs: Graphs) -> _Requests:
        planned, deep, everything = plan(graphs, self._share), self._deep_settings, slice(None)
        decoder = self._decoder(graphs)
        dtype = self._common_type if isinstance(decoder, FusedDecoder) else np.float32
        common_type = openvino.Type.bf16 if dtype is np.uint16 else openvino.Type.f32
        bands = [
            _Band(band.rows, band.input_rows, self._request(band.network, deep))
            for band in (graphs.band(rows, common_type) for rows in planned.bands)
        ] or [
            _Band(
                everything,
                [everything] * len(planned.inputs),
                self._request(graphs.part(planned.inputs, COMMON, common_type), deep),
            )
        ]
        return _Requests(
            self._request(graphs.shallow(), self._settings),
            [
                _Slice(first, last, self._request(graphs.part([first], last), deep))
                for first, last in planned.slices
            ],
            planned.inputs,
            bands,
            Buffers(tuple(graphs.common_shape), dtype),
            decoder,
        )

    def _decoder(self, graphs: Graphs) -> Decoder:
        weights = graphs.decoder_weights()
        if weights is not None and len(weights.classes) <= FusedDecoder.MAX_CLASSES:
            return FusedDecoder(weights)
        if (network := graphs.decoder()) is None:
            return GivenLogits()
        return NetworkDecoder(self._request(network, self._settings), Buffers(tuple(graphs.common_shape)))

    def _request(self, network: openvino.Model, settings: dict[str, str]) -> openvino.InferRequest:
        with kept_signal_stack():  # the first call loads the CPU plugin
            return self._core.compile_model(network, "CPU", settings).create_infer_request()


def _infer(request: openvino.InferRequest, *inputs: np.ndarray) -> np.ndarray:
    """Run without copies; the result is a view of the request's memory, valid until its next run."""
    return request.infer(list(inputs), share_inputs=True, share_outputs=True)[0]


def _infer_into(output: np.ndarray, request: openvino.InferRequest, *inputs: np.ndarray) -> np.ndarray:
    """Run without copies, writing into `output`, which is returned."""
    type = request.get_output_tensor(0).element_type  # NumPy has no bfloat16
    tensor = (
        openvino.Tensor(output, list(output.shape), type)
        if type == openvino.Type.bf16
        else openvino.Tensor(output, shared_memory=True)
    )
    request.set_output_tensor(0, tensor)
    request.infer(list(inputs), share_inputs=True, share_outputs=True)
    return output
