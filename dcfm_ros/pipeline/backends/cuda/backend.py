# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""PyTorch on an NVIDIA GPU: half precision, CUDA graphs, and two streams, so that frames pass the deep path
by."""

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
from dcfm_ros.model.half import fold_batch_norms
from dcfm_ros.model.inference import InferenceModel, fold
from dcfm_ros.motion.maps import on_grid
from dcfm_ros.pipeline.backends.base import BackendError, Motions, added, with_motions
from dcfm_ros.pipeline.backends.cuda.lane import Lane

_log = logging.getLogger(__name__)
_TYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}


class Feature(NamedTuple):
    """A feature on the GPU, from the event on."""

    tensor: Tensor
    ready: torch.cuda.Event

    @property
    def nbytes(self) -> int:
        return self.tensor.nbytes


class CUDABackend:
    """Shallow path and masks have a stream of high priority, the deep path one of low priority.

    The host waits for a mask's arrival and for the end of a deep path, and for nothing else; both waits let
    other threads go on. They also mean that who uses a feature keeps it until the GPU has read it: its memory
    is never taken too early. The deep path is one graph: it gives way by the priority of its stream, not by
    `between_slices`.
    """

    name = "torch"

    def __init__(self, model: Model, device: str = "cuda", precision: str = "auto"):
        """precision: f16 (auto), bf16, or f32, for which PyTorch's TF32 is switched off in this process."""
        self.device, self.precision = device, "f16" if precision == "auto" else precision
        self.per_frame = model.config.architecture == "per_frame"
        self._normalisation = model.config.normalisation
        place = place_of(device)
        if self.precision == "f32":
            torch.backends.cudnn.allow_tf32 = False  # on by default, and 1e-3 away
        self._kernels, self._type = pixel_kernels(), _TYPES[self.precision]
        self._parts = gpu_form(fold(model), place, self._type, self._kernels.CHANNELS)
        # Graphs: of frames, one for each network size and four for each camera size; of keyframes, one for
        #     each network size.
        self._frames, self._keyframes = Lane(place, priority=-1, graphs=32), Lane(place, priority=0, graphs=8)
        self._image, self._labels = (
            _HostMemory(self._frames, torch.uint8),
            _HostMemory(self._frames, torch.uint8),
        )
        self._motions = [_HostMemory(self._frames, torch.float32) for _ in range(2)]  # to one keyframe or two
        self._loaded = torch.cuda.Event()  # the last image has left its host memory

    def prepare(self, size: tuple[int, int]) -> None:
        with self._frames.open("shallow path"):
            shallow = self._frames.prepare("shallow", self._shallow, torch.zeros(*size, 3, dtype=torch.uint8))
        with self._keyframes.open("deep path"):
            self._keyframes.prepare("deep", self._parts.deep, shallow)

    def shallow(self, image: np.ndarray) -> Feature:
        with self._frames.open("shallow path"):
            self._loaded.synchronize()  # has happened long ago where a mask was made in between
            pinned = self._image.of_shape(image.shape)
            np.copyto(pinned.numpy(), image)
            feature = _kept(self._frames, self._frames.run("shallow", self._shallow, pinned))
            self._loaded = feature.ready
            return feature

    def deep(self, shallow: Feature, between_slices: Callable[[], None] = lambda: None) -> Feature:
        with self._keyframes.open("deep path"):
            self._keyframes.wait(shallow.ready)
            common = _kept(
                self._keyframes, self._keyframes.run("deep", self._parts.deep, shallow.tensor), sleeps=True
            )
            common.ready.synchronize()  # the encode time ends when the feature is there
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
        """What a person wants to know about this backend, in words."""
        return {
            "kernels": self._kernels.__name__.rpartition(".")[2],
            "without CUDA graph": str(self._frames.failures + self._keyframes.failures),
        }

    def _run(self, name, function, shallow: Feature, commons: list[Feature], motions: Motions) -> Tensor:
        """Both callers wait for the result, so that the maps' host memory is free again for the next call."""
        for common in commons:
            self._frames.wait(common.ready)
        moves = any(motion is not None for motion in motions) and not self.per_frame
        maps = (
            [
                self._uploadable(memory, common.tensor, motion)
                for memory, (common, motion) in zip(self._motions, with_motions(commons, motions))
            ]
            if moves
            else []
        )
        return self._frames.run(name, function, shallow.tensor, *(common.tensor for common in commons), *maps)

    def _uploadable(self, memory: _HostMemory, common: Tensor, motion: np.ndarray | None) -> Tensor:
        """A map on the grid of the common contribution, in host memory."""
        size = tuple(common.shape[2:])
        pinned = memory.of_shape((*size, 2))
        np.copyto(pinned.numpy(), 0.0 if motion is None else on_grid(motion, size))
        return pinned

    # What graphs are made of

    def _shallow(self, image: Tensor) -> Tensor:
        return self._parts.shallow.encoder.shallow(
            self._kernels.normalised_pixels(image, self._type, self._normalisation)
        )

    def _logits(self, shallow: Tensor, *inputs: Tensor) -> Tensor:
        """inputs: common contributions (1, C, h, w), and then, if they move, their maps (h, w, 2)"""
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
    """Memory for transfers to and from the GPU, as large as the largest so far."""

    def __init__(self, lane: Lane, dtype: torch.dtype):
        self._lane, self._type, self._memory = lane, dtype, lane.host_memory(0)

    def of_shape(self, shape: tuple[int, ...]) -> Tensor:
        count = math.prod(shape) * self._type.itemsize
        if len(self._memory) < count:
            self._memory = self._lane.host_memory(count)
        return self._memory[:count].view(self._type).view(shape)


def gpu_form(
    parts: InferenceModel, device: torch.device, dtype: torch.dtype, channels: int
) -> InferenceModel:
    """The parts as a GPU likes them, changed in place: batch norms folded, weights channels last, images of
    that many channels, of which the first three are colours. Layer norms and softmax compute in float32 on a
    GPU anyway."""
    shallow, deep, decoder = parts
    first = next(module for module in shallow.modules() if isinstance(module, nn.Conv2d))
    first.weight = nn.Parameter(
        F.pad(first.weight, (0, 0, 0, 0, 0, channels - first.in_channels)), requires_grad=False
    )
    first.in_channels = channels
    for part in (shallow, deep, decoder):
        fold_batch_norms(part)
        part.to(device=device, dtype=dtype, memory_format=torch.channels_last)
    return parts


def _kept(lane: Lane, result: Tensor, sleeps: bool = False) -> Feature:
    """A result that a graph overwrites, as a feature that stays."""
    return Feature(result.clone(), lane.mark(sleeps))


def place_of(name: str) -> torch.device:
    """The GPU of that name, "cuda" or "cuda:N"; raises BackendError where there is none."""
    found, count = re.fullmatch(r"cuda(?::(\d+))?", name), torch.cuda.device_count()
    if not found:
        raise BackendError(f"unknown device {name!r}: use cuda or cuda:N")
    number = (
        torch.cuda.current_device() if found[1] is None else int(found[1])
    )  # other threads have another current one
    if number >= count:
        raise BackendError(f"device {name!r}: PyTorch sees {count} GPUs, so use cuda:0 to cuda:{count - 1}")
    return torch.device("cuda", number)


def pixel_kernels():
    """The module of kernels: Triton's, or PyTorch operations in their place."""
    if importlib.util.find_spec("triton"):
        from dcfm_ros.pipeline.backends.cuda import triton_kernels as kernels

        return kernels
    from dcfm_ros.pipeline.backends.cuda import torch_kernels

    _log.warning(
        "Triton is not installed: masks are made by PyTorch operations, which is slower; pip install triton"
    )
    return torch_kernels
