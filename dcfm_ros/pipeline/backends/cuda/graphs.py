# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""CUDA graphs: functions of tensors are captured once per input shape and replayed afterwards.

Launching hundreds of small kernels one by one takes the CPU longer than running them takes the GPU; a graph
is a single launch.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import NamedTuple

import torch
from torch import Tensor

_log = logging.getLogger(__name__)
# PyTorch allows one capture at a time in a process, and there may be several backends
_capturing = threading.Lock()

Function = Callable[..., Tensor]


class CaptureError(RuntimeError):
    """A function that cannot be captured as a graph."""


class Captured(NamedTuple):
    """A captured graph."""

    inputs: list[Tensor]  # read by the graph: to be filled before each replay
    replay: Callable[[], None]
    output: Tensor  # written by the graph: overwritten by the next replay


_UNCAPTURED = Captured([], lambda: None, torch.empty(0))


class Graphs:
    """The graphs of one stream, at most `limit`: the least recently used is evicted.

    `run` is for one thread at a time; `prepare` may be called by any thread in parallel. A function that
    cannot be captured runs without a graph, which is logged and counted in `failures`.
    """

    def __init__(
        self, capture: Callable[[Function, tuple[Tensor, ...]], Captured], device: torch.device, limit: int
    ):
        """capture: captures a function for inputs like the examples, or raises CaptureError"""
        self._capture, self._device, self._limit = capture, device, limit
        self._kept: OrderedDict[Hashable, Captured] = OrderedDict()
        self._looking = threading.Lock()
        self.failures = 0

    def __len__(self) -> int:
        return len(self._kept)

    def run(self, name: Hashable, function: Function, *inputs: Tensor) -> Tensor:
        """Compute function(*inputs) on the device; inputs may be in pinned host memory. The result is valid
        until the next call.

        name: identifies the function and everything in it that is not an input, as that is constant in a
            graph
        """
        captured = self._get(name, function, inputs)
        if captured is _UNCAPTURED:
            return function(*(given.to(self._device, non_blocking=True) for given in inputs))
        for own, given in zip(captured.inputs, inputs):
            own.copy_(given, non_blocking=True)
        captured.replay()
        return captured.output

    def prepare(self, name: Hashable, function: Function, *examples: Tensor) -> Tensor:
        """Capture for inputs of these shapes. Returns a tensor of the result's shape with undefined
        content."""
        captured = self._get(name, function, examples)
        if captured is _UNCAPTURED:
            return function(*(example.to(self._device) for example in examples))
        return captured.output

    def _get(self, name: Hashable, function: Function, inputs: tuple[Tensor, ...]) -> Captured:
        key = (name, *(tuple(given.shape) for given in inputs))
        captured = self._find(key)
        if captured is None:
            with _capturing:
                # unless another thread was first
                captured = self._find(key) or self._make(key, function, inputs)
        return captured

    def _find(self, key: Hashable) -> Captured | None:
        with self._looking:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def _make(self, key: Hashable, function: Function, inputs: tuple[Tensor, ...]) -> Captured:
        try:
            captured = self._capture(function, inputs)
        except CaptureError as error:
            self.failures += 1
            _log.warning("no CUDA graph of %s, which now runs more slowly: %s", key, error)
            captured = _UNCAPTURED
        with self._looking:
            self._kept[key] = captured
            if len(self._kept) > self._limit:
                self._kept.popitem(last=False)
        return captured
