# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A lane: one CUDA stream with the graphs that run on it."""

from __future__ import annotations

import gc
from collections.abc import Hashable, Iterator
from contextlib import contextmanager, suppress

import torch
from torch import Tensor

from dcfm_ros.pipeline.backends.base import BackendError
from dcfm_ros.pipeline.backends.cuda.graphs import Captured, CaptureError, Function, Graphs

_WARM_UPS = 3  # kernels are compiled in the first, algorithms and workspaces are settled after it


class Lane:
    """All work is done inside `open`, by one thread at a time; only `prepare` may be called by another thread
    meanwhile."""

    def __init__(self, device: torch.device, priority: int, graphs: int):
        """priority: of the stream, a lower number goes first. graphs: how many are kept."""
        self._device = device
        self._stream = torch.cuda.Stream(device, priority=priority)
        self._graphs = Graphs(_Capture(self._stream), device, graphs)

    @property
    def failures(self) -> int:
        """Functions that run without a graph."""
        return self._graphs.failures

    @contextmanager
    def open(self, work: str) -> Iterator[None]:
        """On this stream, without gradients. Errors of the GPU name the work and a remedy."""
        try:
            with torch.inference_mode(), torch.cuda.stream(self._stream):
                yield
        except torch.OutOfMemoryError as error:
            raise BackendError(
                f"{self._device} is out of memory in the {work}: use a smaller model, a smaller input size "
                f"or fewer "
                f"cameras, or stop what else runs on it ({_first_line(error)})"
            ) from error
        except torch.AcceleratorError as error:  # no call of this process to the device works any more
            raise BackendError(
                f"{self._device} failed in the {work}: this process has to be started anew "
                f"({_first_line(error)})"
            ) from error

    def run(self, name: Hashable, function: Function, *inputs: Tensor) -> Tensor:
        """As `Graphs.run`."""
        return self._graphs.run(name, function, *inputs)

    def prepare(self, name: Hashable, function: Function, *examples: Tensor) -> Tensor:
        """As `Graphs.prepare`."""
        return self._graphs.prepare(name, function, *examples)

    def wait(self, event: torch.cuda.Event) -> None:
        """What comes is computed after the event. The host does not wait."""
        self._stream.wait_event(event)

    def mark(self, sleeps: bool = False) -> torch.cuda.Event:
        """An event after all work so far. sleeps: the host leaves the core to others while it waits, which
        ends it later."""
        event = torch.cuda.Event(blocking=sleeps)
        event.record(self._stream)
        return event

    def host_memory(self, count: int) -> Tensor:
        """Bytes that the GPU reads and writes beside other work."""
        return torch.empty(count, dtype=torch.uint8, pin_memory=True)


class _Capture:
    """Makes the graphs of a stream.

    Recording on the stream itself would put into the graph what another thread does there meanwhile. So there
    is a stream to record on, of the same priority, since that is what kernels in a graph keep. Matrix
    products in a graph share the workspace of the stream they were recorded on: graphs of one lane run one
    after the other, and warming up, which may fall together with them, has a stream and so a workspace of its
    own.
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
            ):  # memory is reused in the order of the stream on which it was taken
                inputs = [torch.zeros_like(example, device=self._stream.device) for example in examples]
            self._warming.wait_stream(self._stream)
            with torch.cuda.stream(self._warming):
                for _ in range(_WARM_UPS):
                    function(*inputs)
            self._warming.synchronize()
            torch.cuda.empty_cache()  # what warming up has used: a graph has memory of its own
            return self._record(function, inputs)

    def _record(self, function: Function, inputs: list[Tensor]) -> Captured:
        graph, pool = torch.cuda.CUDAGraph(), torch.cuda.graph_pool_handle()
        try:
            with torch.cuda.stream(self._recording), _without_garbage_collection():
                graph.capture_begin(
                    pool=pool, capture_error_mode="thread_local"
                )  # other threads may go on with what they do
                try:
                    output = function(*inputs)
                finally:
                    graph.capture_end()
        except RuntimeError as error:
            self._failed.append(graph)  # PyTorch's allocator keeps a pointer to it
            _end_allocation(self._stream.device, pool)
            raise CaptureError(_first_line(error)) from error
        return Captured(inputs, graph.replay, output)


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """A collection might destroy another graph in the midst of a capture, which CUDA forbids."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _end_allocation(device: torch.device, pool: tuple[int, int]) -> None:
    """`capture_end` leaves out this step where the capture is broken (PyTorch 2.11), and the allocator, which
    still waits for it, then never again gives freed memory back. There is no public call for it."""
    with suppress(RuntimeError, AttributeError):  # it was ended, or PyTorch has changed
        torch._C._cuda_endAllocateToPool(device.index, pool)
        torch._C._cuda_releasePool(device.index, pool)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
