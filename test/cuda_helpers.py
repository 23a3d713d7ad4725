# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The CUDA backend without a GPU: its streams make the same calls on the CPU, with graphs that overwrite
their results as CUDA graphs do."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
import torch

from dcfm_ros.pipeline.backends.cuda import backend as cuda
from dcfm_ros.pipeline.backends.cuda import torch_kernels
from dcfm_ros.pipeline.backends.cuda.graphs import Captured, CaptureError, Graphs


class FakeEvent:
    """Notes in `log` who waits for it."""

    def __init__(self, of: str = "", log: list | None = None):
        self.of, self.log = of, [] if log is None else log

    def synchronize(self) -> None:
        self.log.append(("host waits for", self.of))


class FakeCapture:
    """Captures anything but functions of inputs whose number is in `refused`; counts its captures."""

    def __init__(self):
        self.count, self.refused = 0, False

    def __call__(self, function, examples):
        self.count += 1
        if self.refused:
            raise CaptureError("not permitted when stream is capturing")
        inputs = [torch.zeros_like(example) for example in examples]
        output = function(*inputs).clone()

        def replay():
            output.copy_(function(*inputs))

        return Captured(inputs, replay, output)


class FakeStream:
    """`CudaStream` on the CPU; `log` has what it did, in order, for all streams of a test."""

    log: list = []

    def __init__(self, device: torch.device, priority: int, graphs: int):
        self.name = "frames" if priority < 0 else "keyframes"
        self.capture = FakeCapture()
        self._graphs = Graphs(self.capture, device, graphs)

    @property
    def failures(self) -> int:
        return self._graphs.failures

    @contextmanager
    def open(self, work):
        with torch.inference_mode():
            yield

    def run(self, name, function, *inputs):
        self.log.append((self.name, "runs", name if isinstance(name, str) else name[0]))
        return self._graphs.run(name, function, *inputs)

    def prepare(self, name, function, *examples):
        return self._graphs.prepare(name, function, *examples)

    def wait(self, event):
        self.log.append((self.name, "waits for", event.of))

    def mark(self, blocking=False):
        return FakeEvent(self.name, self.log)

    def host_memory(self, count):
        return torch.empty(count, dtype=torch.uint8)


def without_gpu(patch: pytest.MonkeyPatch) -> None:
    """Make CUDABackend run on the CPU, with PyTorch operations as kernels."""
    patch.setattr(FakeStream, "log", [])
    patch.setattr(cuda, "CudaStream", FakeStream)
    patch.setattr(cuda, "cuda_device", lambda device: torch.device("cpu"))
    patch.setattr(cuda, "pixel_kernels", lambda: torch_kernels)
    patch.setattr(torch.cuda, "Event", FakeEvent)
    patch.setattr(torch.backends.cudnn, "allow_tf32", True)
