"""TensorRT backend: the parts of a model as engines for one size of image, on one GPU. Never run so far: see docs/export.md."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, NamedTuple

import numpy as np
import torch
from torch import Tensor

from dcfm_ros.pipeline.backends.base import BackendError, MasksOnHost
from dcfm_ros.pipeline.backends.engine_files import read_engines
from dcfm_ros.pipeline.backends.tensorrt_api import Engine

_HIGH, _LOW = -1, 0   # priorities of CUDA streams


class OnGpu(NamedTuple):
    """A feature, and when it will be there."""

    tensor: Tensor
    ready: torch.cuda.Event

    @property
    def nbytes(self) -> int:
        return self.tensor.nbytes


class TensorRTBackend(MasksOnHost):
    """Engines of one folder (engine_files). Features are tensors of their own on the GPU.

    Shallow path and decoder run on a stream of high priority, the deep path on one of low priority; events order them, and
    the host waits for nothing but the logits, and on the encoder's thread for the common contribution.
    """

    name = "tensorrt"

    def __init__(self, folder: Path, device: str = "cuda"):
        """Raises BackendError where an engine is damaged or was built for another TensorRT or GPU."""
        engines = read_engines(folder)
        self.device, self.precision, self.per_frame = device, engines.precision, engines.per_frame
        self.size = engines.size
        self._engines = {part: Engine(file.read_bytes(), part) for part, file in engines.files.items()}
        self._masks, self._keyframes = Lane(device, _HIGH), Lane(device, _LOW)

    def prepare(self, size: tuple[int, int]) -> None:
        if size != self.size:
            raise BackendError(f"these engines are for images of {self.size[1]}x{self.size[0]}, not {size[1]}x{size[0]}")

    def shallow(self, image: np.ndarray) -> OnGpu:
        self.prepare(image.shape[:2])
        with self._masks as lane:
            return lane.give(self._run("shallow", lane, image=lane.upload(image[None])))

    def deep(self, shallow: OnGpu, give_way: Callable[[], None] = lambda: None) -> OnGpu:
        give_way()
        with self._keyframes as lane:
            common = lane.give(self._run("deep", lane, shallow=lane.take(shallow)))
        common.ready.synchronize()   # the encode time ends when the feature is there
        return common

    def decode(self, shallow: OnGpu, commons: list[OnGpu]) -> np.ndarray:
        with self._masks as lane:
            logits = self._logits(lane, shallow, commons[0])
            for common in commons[1:]:
                logits = logits + self._logits(lane, shallow, common)
            return lane.download(logits[0])

    def _logits(self, lane: Lane, shallow: OnGpu, common: OnGpu) -> Tensor:
        if self.per_frame:
            return lane.take(common)
        return self._run("decoder", lane, shallow=lane.take(shallow), common=lane.take(common))

    def _run(self, part: str, lane: Lane, **inputs: Tensor) -> Tensor:
        return self._engines[part].run(inputs, lane.handle)


class Lane:
    """A CUDA stream that one thread fills. Within `with` it is PyTorch's current one."""

    def __init__(self, device: str, priority: int):
        self._stream = torch.cuda.Stream(device, priority=priority)
        self._device = device

    def __enter__(self) -> Lane:
        self._context = torch.cuda.stream(self._stream)
        self._context.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._context.__exit__(*error)

    @property
    def handle(self) -> int:
        """As TensorRT takes it."""
        return self._stream.cuda_stream

    def upload(self, array: np.ndarray) -> Tensor:
        """An array on the GPU; it may change as soon as this returns."""
        return torch.from_numpy(array).pin_memory().to(self._device, non_blocking=True)

    def download(self, tensor: Tensor) -> np.ndarray:
        """A tensor on the host, once it is there."""
        host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        host.copy_(tensor, non_blocking=True)
        self._stream.synchronize()
        return host.numpy()

    def give(self, tensor: Tensor) -> OnGpu:
        """What this stream is computing, for others."""
        ready = torch.cuda.Event(blocking=True)   # who waits for it leaves the processor to others
        ready.record(self._stream)
        return OnGpu(tensor, ready)

    def take(self, feature: OnGpu) -> Tensor:
        """Another stream's feature: this one goes on when it is there, and its memory stays until this one has passed."""
        self._stream.wait_event(feature.ready)
        feature.tensor.record_stream(self._stream)
        return feature.tensor
