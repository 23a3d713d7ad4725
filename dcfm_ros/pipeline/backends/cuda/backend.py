# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""CUDA backend: PyTorch on an NVIDIA GPU in half precision, with CUDA graphs and two streams, so that frames
overtake the deep path."""

from __future__ import annotations

import functools
import importlib.util
import logging
import math
import re
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcfm_ros.model.build import Model
from dcfm_ros.model.folder import loaded
from dcfm_ros.model.half import fold_batch_norms
from dcfm_ros.model.inference import InferenceModel, fold
from dcfm_ros.model.stored import AnyModel
from dcfm_ros.motion.maps import on_grid
from dcfm_ros.pipeline.backends.base import BackendError, Motions, Sharing, added, with_motions
from dcfm_ros.pipeline.backends.cuda.stream import CudaStream

_log = logging.getLogger(__name__)
_TYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}


class Feature(NamedTuple):
    """A feature on the GPU, valid once the event `ready` has occurred."""

    tensor: Tensor
    ready: torch.cuda.Event

    @property
    def nbytes(self) -> int:
        return self.tensor.nbytes


def make(model: AnyModel, device: str, precision: str, sharing: Sharing, live: bool) -> CUDABackend:
    """Create the backend, for the table of backends."""
    return CUDABackend(loaded(model), device, precision)


class CUDABackend:
    """Runs shallow path and masks on a high-priority stream and the deep path on a low-priority one.

    The host only waits for the transfer of a mask and for the end of a deep path, without blocking other
    threads. These waits also ensure that a feature stays referenced until the GPU has read it, so its memory
    is not reused too early. The deep path is one graph: it yields by the priority of its stream, not by
    `between_slices`.
    """

    name = "torch"

    def __init__(self, model: Model, device: str = "cuda", precision: str = "auto"):
        """precision: f16 (auto), bf16, or f32, for which TF32 is disabled in this process"""
        self.device, self.precision = device, "f16" if precision == "auto" else precision
        self.per_frame = model.config.architecture == "per_frame"
        self._normalisation = model.config.normalisation
        place = cuda_device(device)
        if self.precision == "f32":
            torch.backends.cudnn.allow_tf32 = False  # enabled by default, and off by 1e-3
        self._kernels, self._type = pixel_kernels(), _TYPES[self.precision]
        self._parts = convert_for_gpu(fold(model), place, self._type, self._kernels.CHANNELS)
        # Graphs: of frames, one for each network size and four for each camera size; of keyframes, one for
        #     each network size.
        self._frames, self._keyframes = (
            CudaStream(place, priority=-1, graphs=32),
            CudaStream(place, priority=0, graphs=8),
        )
        self._image, self._labels = (
            _HostMemory(self._frames, torch.uint8),
            _HostMemory(self._frames, torch.uint8),
        )
        self._motions = [_HostMemory(self._frames, torch.float32) for _ in range(2)]  # to one keyframe or two
        self._loaded = torch.cuda.Event()  # the last image has been copied from host memory

    def prepare(self, size: tuple[int, int]) -> None:
        with self._frames.open("shallow path"):
            shallow = self._frames.prepare("shallow", self._shallow, torch.zeros(*size, 3, dtype=torch.uint8))
        with self._keyframes.open("deep path"):
            self._keyframes.prepare("deep", self._parts.deep, shallow)

    def shallow(self, image: np.ndarray) -> Feature:
        with self._frames.open("shallow path"):
            self._loaded.synchronize()  # no wait if a mask was made in between
            pinned = self._image.of_shape(image.shape)
            np.copyto(pinned.numpy(), image)
            feature = _own_feature(self._frames, self._frames.run("shallow", self._shallow, pinned))
            self._loaded = feature.ready
            return feature

    def deep(self, shallow: Feature, between_slices: Callable[[], None] = lambda: None) -> Feature:
        with self._keyframes.open("deep path"):
            self._keyframes.wait(shallow.ready)
            common = _own_feature(
                self._keyframes, self._keyframes.run("deep", self._parts.deep, shallow.tensor), blocking=True
            )
            common.ready.synchronize()  # the measured encode time ends when the feature is ready
            return common

    def decode(self, shallow: Feature, commons: list[Feature], motions: Motions = ()) -> np.ndarray:
        with self._frames.open("fusion"):
            return self._run("logits", self._logits, shallow, commons, motions)[0].cpu().numpy()

    def mask(
        self,
        shallow: Feature,
        commons: list[Feature],
        size: tuple[int, int],
        with_confidence: bool = False,
        motions: Motions = (),
    ) -> tuple[np.ndarray, np.ndarray | None]:
        with self._frames.open("mask"):
            function = functools.partial(self._upsampled, size, with_confidence)
            labels = self._run(("mask", size, with_confidence), function, shallow, commons, motions)
            pinned = self._labels.of_shape(labels.shape)
            pinned.copy_(labels, non_blocking=True)
            self._frames.mark().synchronize()
            mask, *confidence = pinned.numpy().copy()
        return mask, confidence[0] if with_confidence else None

    def status(self) -> dict[str, str]:
        """Return the kernels in use and the number of functions without a CUDA graph."""
        return {
            "kernels": self._kernels.__name__.rpartition(".")[2],
            "without CUDA graph": str(self._frames.failures + self._keyframes.failures),
        }

    def _run(self, name, function, shallow: Feature, commons: list[Feature], motions: Motions) -> Tensor:
        """Run a function of features and motion maps. Both callers wait for the result, so the maps' host
        memory can be reused by the next call."""
        for common in commons:
            self._frames.wait(common.ready)
        moves = any(motion is not None for motion in motions) and not self.per_frame
        maps = (
            [
                self._pinned_map(memory, common.tensor, motion)
                for memory, (common, motion) in zip(self._motions, with_motions(commons, motions))
            ]
            if moves
            else []
        )
        return self._frames.run(name, function, shallow.tensor, *(common.tensor for common in commons), *maps)

    def _pinned_map(self, memory: _HostMemory, common: Tensor, motion: np.ndarray | None) -> Tensor:
        """Return a map, resampled to the grid of the common contribution, in pinned host memory."""
        size = tuple(common.shape[2:])
        pinned = memory.of_shape((*size, 2))
        np.copyto(pinned.numpy(), 0.0 if motion is None else on_grid(motion, size))
        return pinned

    # Functions that are captured as graphs

    def _shallow(self, image: Tensor) -> Tensor:
        return self._parts.shallow.encoder.shallow(
            self._kernels.normalised_pixels(image, self._type, self._normalisation)
        )

    def _logits(self, shallow: Tensor, *inputs: Tensor) -> Tensor:
        """inputs: common contributions (1, C, h, w), followed by their motion maps (h, w, 2), if any"""
        commons, maps = (
            [tensor for tensor in inputs if tensor.dim() == 4],
            [tensor for tensor in inputs if tensor.dim() == 3],
        )
        if maps:
            commons = [self._kernels.aligned(common, motion) for common, motion in zip(commons, maps)]
        return added(self._parts.decoder(shallow, common) for common in commons)

    def _upsampled(
        self, size: tuple[int, int], with_confidence: bool, shallow: Tensor, *inputs: Tensor
    ) -> Tensor:
        return self._kernels.upsampled_labels(self._logits(shallow, *inputs), size, with_confidence)


class _HostMemory:
    """Pinned memory for transfers to and from the GPU, grown to the largest size so far."""

    def __init__(self, stream: CudaStream, dtype: torch.dtype):
        self._stream, self._type, self._memory = stream, dtype, stream.host_memory(0)

    def of_shape(self, shape: tuple[int, ...]) -> Tensor:
        count = math.prod(shape) * self._type.itemsize
        if len(self._memory) < count:
            self._memory = self._stream.host_memory(count)
        return self._memory[:count].view(self._type).view(shape)


def convert_for_gpu(
    parts: InferenceModel, device: torch.device, dtype: torch.dtype, channels: int
) -> InferenceModel:
    """Prepare the parts for a GPU, in place: fold batch norms, convert weights to channels last, and pad the
    image to that many channels, of which the first three are colours. Layer norms and softmax compute in
    float32 on a GPU anyway."""
    shallow, deep, decoder = parts
    first = next(module for module in shallow.modules() if isinstance(module, nn.Conv2d))
    first.weight = nn.Parameter(
        F.pad(first.weight, (0, 0, 0, 0, 0, channels - first.in_channels)), requires_grad=False
    )
    first.in_channels = channels
    for part in (shallow, deep, decoder):
        fold_batch_norms(part)
        part.to(device=device, dtype=dtype)
        part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return parts


def _own_feature(stream: CudaStream, result: Tensor, blocking: bool = False) -> Feature:
    """Copy a result, which the graph overwrites in its next run, into a feature."""
    return Feature(result.clone(), stream.mark(blocking))


def cuda_device(name: str) -> torch.device:
    """Return the GPU of that name, "cuda" or "cuda:N"; raises BackendError if it does not exist."""
    found, count = re.fullmatch(r"cuda(?::(\d+))?", name), torch.cuda.device_count()
    if not found:
        raise BackendError(f"unknown device {name!r}: use cuda or cuda:N")
    # resolved now, as the current device differs between threads
    number = torch.cuda.current_device() if found[1] is None else int(found[1])
    if number >= count:
        raise BackendError(f"device {name!r}: PyTorch sees {count} GPUs, so use cuda:0 to cuda:{count - 1}")
    return torch.device("cuda", number)


def pixel_kernels():
    """Return the module of kernels: Triton's, or PyTorch operations if Triton is not installed."""
    if importlib.util.find_spec("triton"):
        from dcfm_ros.pipeline.backends.cuda import triton_kernels as kernels

        return kernels
    from dcfm_ros.pipeline.backends.cuda import torch_kernels

    _log.warning(
        "Triton is not installed: masks are made by PyTorch operations, which is slower; pip install triton"
    )
    return torch_kernels
