# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A CUDA stream with the graphs that run on it."""

from __future__ import annotations

import gc
from collections.abc import Hashable, Iterator
from contextlib import contextmanager, suppress

import torch
from torch import Tensor

from dcfm_ros.pipeline.backends.base import BackendError
from dcfm_ros.pipeline.backends.cuda.graphs import Captured, CaptureError, Function, Graphs

_WARM_UPS = 3  # the first compiles kernels; algorithms and workspaces are settled after it


class CudaStream:
    """CUDA stream with its graphs. All work is done inside `open`, by one thread at a time; only `prepare`
    may be called by another thread meanwhile."""

    def __init__(self, device: torch.device, priority: int, graphs: int):
        """priority: of the stream, lower numbers first; graphs: maximum number kept"""
        self._device = device
        self._stream = torch.cuda.Stream(device, priority=priority)
        self._graphs = Graphs(_Capture(self._stream), device, graphs)

    @property
    def failures(self) -> int:
        """Number of functions that run without a graph."""
        return self._graphs.failures

    @contextmanager
    def open(self, work: str) -> Iterator[None]:
        """Context in which work runs on this stream, without gradients. GPU errors name the work and a
        remedy."""
        try:
            with torch.inference_mode(), torch.cuda.stream(self._stream):
                yield
        except torch.OutOfMemoryError as error:
            raise BackendError(
                f"{self._device} is out of memory in the {work}: use a smaller model, a smaller input size "
                f"or fewer cameras, or stop what else runs on it ({_first_line(error)})"
            ) from error
        except torch.AcceleratorError as error:  # no call of this process to the device works any more
            raise BackendError(
                f"{self._device} failed in the {work}: restart this process ({_first_line(error)})"
            ) from error

    def run(self, name: Hashable, function: Function, *inputs: Tensor) -> Tensor:
        """See `Graphs.run`."""
        return self._graphs.run(name, function, *inputs)

    def prepare(self, name: Hashable, function: Function, *examples: Tensor) -> Tensor:
        """See `Graphs.prepare`."""
        return self._graphs.prepare(name, function, *examples)

    def wait(self, event: torch.cuda.Event) -> None:
        """Make later work on this stream wait for the event. The host does not wait."""
        self._stream.wait_event(event)

    def mark(self, blocking: bool = False) -> torch.cuda.Event:
        """Record an event after all work so far. blocking: the host sleeps instead of spinning while it
        waits, which adds latency"""
        event = torch.cuda.Event(blocking=blocking)
        event.record(self._stream)
        return event

    def host_memory(self, count: int) -> Tensor:
        """Allocate pinned host memory, for transfers that overlap with other work. count: bytes"""
        return torch.empty(count, dtype=torch.uint8, pin_memory=True)


class _Capture:
    """Captures the graphs of a stream.

    Capturing on the stream itself would record what another thread does there meanwhile. So there is a
    separate stream for capturing, of the same priority, since kernels in a graph keep the priority. Matrix
    products in a graph share the workspace of the stream they were captured on: graphs of one stream run one
    after the other, and the warm-up, which may run at the same time, has its own stream and thus its own
    workspace.
    """

    def __init__(self, stream: torch.cuda.Stream):
        self._stream = stream
        self._recording = torch.cuda.Stream(stream.device, priority=stream.priority)
        self._warming = torch.cuda.Stream(stream.device)
        self._failed: list[torch.cuda.CUDAGraph] = []

    def __call__(self, function: Function, examples: tuple[Tensor, ...]) -> Captured:
        with torch.inference_mode():
            with torch.cuda.stream(
                self._stream
            ):  # memory is reused in the order of the stream on which it was allocated
                inputs = [torch.zeros_like(example, device=self._stream.device) for example in examples]
            self._warming.wait_stream(self._stream)
            with torch.cuda.stream(self._warming):
                for _ in range(_WARM_UPS):
                    function(*inputs)
            self._warming.synchronize()
            torch.cuda.empty_cache()  # releases the warm-up's memory: a graph has its own
            return self._record(function, inputs)

    def _record(self, function: Function, inputs: list[Tensor]) -> Captured:
        graph, pool = torch.cuda.CUDAGraph(), torch.cuda.graph_pool_handle()
        try:
            with torch.cuda.stream(self._recording), _without_garbage_collection():
                # other threads may continue their work
                graph.capture_begin(pool=pool, capture_error_mode="thread_local")
                try:
                    output = function(*inputs)
                finally:
                    graph.capture_end()
        except RuntimeError as error:
            self._failed.append(graph)  # kept alive, as PyTorch's allocator has a pointer to it
            _end_allocation(self._stream.device, pool)
            raise CaptureError(_first_line(error)) from error
        return Captured(inputs, graph.replay, output)


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Disable garbage collection: it might destroy another graph during a capture, which CUDA forbids."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _end_allocation(device: torch.device, pool: tuple[int, int]) -> None:
    """Finish an allocation to a graph's memory pool. `capture_end` omits this step after a failed capture
    (PyTorch 2.11), and the allocator then never returns freed memory. There is no public API for it."""
    with suppress(RuntimeError, AttributeError):  # already ended, or PyTorch has changed
        torch._C._cuda_endAllocateToPool(device.index, pool)
        torch._C._cuda_releasePool(device.index, pool)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
