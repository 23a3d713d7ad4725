# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""TensorRT backend: the parts of a model as engines for one image size on one GPU.

Not yet run with TensorRT itself: see docs/export.md.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dcfm_ros.motion.maps import on_grid
from dcfm_ros.pipeline.backends.base import BackendError, Motions, added, with_motions
from dcfm_ros.pipeline.backends.cuda.backend import Feature, cuda_device, pixel_kernels
from dcfm_ros.pipeline.backends.cuda.stream import CudaStream
from dcfm_ros.pipeline.backends.tensorrt.api import Engine
from dcfm_ros.pipeline.backends.tensorrt.engine_files import read_engines


class TensorRTBackend:
    """Runs the engines of one folder (see engine_files). Features are separate tensors on the GPU.

    As in `cuda`, shallow path and masks run on a high-priority stream and the deep path on a low-priority
    one; events order them, and the host only waits for the transfer of a mask and, on the encoder thread, for
    the common contribution.
    """

    name = "tensorrt"

    def __init__(self, folder: Path, device: str = "cuda"):
        """Raises DamagedEngines if an engine is damaged or was built for another TensorRT or GPU, otherwise
        BackendError."""
        engines = read_engines(folder)
        self.device, self.precision, self.per_frame, self.size = (
            device,
            engines.precision,
            engines.per_frame,
            engines.size,
        )
        self._kernels = pixel_kernels()
        self._frames, self._keyframes = EngineStream(device, priority=-1), EngineStream(device, priority=0)
        with torch.cuda.device(device):  # TensorRT uses the thread's current device
            self._engines = {part: Engine(file.read_bytes(), part) for part, file in engines.files.items()}

    def prepare(self, size: tuple[int, int]) -> None:
        if size != self.size:
            raise BackendError(
                f"these engines are for images of {self.size[1]}x{self.size[0]}, not {size[1]}x{size[0]}"
            )

    def shallow(self, image: np.ndarray) -> Feature:
        self.prepare(image.shape[:2])
        with self._frames.open("shallow path"):
            uploaded = self._frames.upload(image[None])
            return Feature(self._frames.run(self._engines["shallow"], image=uploaded), self._frames.mark())

    def deep(self, shallow: Feature, between_slices: Callable[[], None] = lambda: None) -> Feature:
        between_slices()
        with self._keyframes.open("deep path"):
            self._keyframes.wait(shallow.ready)
            tensor = self._keyframes.run(self._engines["deep"], shallow=shallow.tensor)
            common = Feature(tensor, self._keyframes.mark(blocking=True))
            # The measured encode time ends when the feature is ready; S stays referenced until then.
            common.ready.synchronize()
            return common

    def decode(self, shallow: Feature, commons: list[Feature], motions: Motions = ()) -> np.ndarray:
        with self._frames.open("fusion"):
            return self._frames.download(self._logits(shallow, commons, motions)[0])

    def mask(
        self,
        shallow: Feature,
        commons: list[Feature],
        size: tuple[int, int],
        with_confidence: bool = False,
        motions: Motions = (),
    ) -> tuple[np.ndarray, np.ndarray | None]:
        with self._frames.open("mask"):
            labels = self._kernels.upsampled_labels(
                self._logits(shallow, commons, motions), size, with_confidence
            )
            mask, *confidence = self._frames.download(labels)
        return mask, confidence[0] if with_confidence else None

    def _logits(self, shallow: Feature, commons: list[Feature], motions: Motions) -> Tensor:
        return added(
            self._decoded(shallow, common, motion) for common, motion in with_motions(commons, motions)
        )

    def _decoded(self, shallow: Feature, common: Feature, motion: np.ndarray | None) -> Tensor:
        self._frames.wait(common.ready)
        if self.per_frame:
            return common.tensor
        tensor = common.tensor
        if motion is not None:
            uploaded = self._frames.upload(on_grid(motion, tuple(tensor.shape[2:]))[None])
            tensor = self._frames.run(self._engines["align"], common=tensor, motion=uploaded)
        return self._frames.run(self._engines["decoder"], shallow=shallow.tensor, common=tensor)


class EngineStream(CudaStream):
    """CUDA stream for engines, without graphs: capturing one requires a run on another stream, for which an
    engine would need a second execution context and its memory. Use it within `open`."""

    def __init__(self, device: str, priority: int):
        self._place = cuda_device(device)
        super().__init__(self._place, priority, graphs=0)

    def run(self, engine: Engine, **inputs: Tensor) -> Tensor:  # type: ignore[override]  # nothing is captured
        return engine.run(inputs, torch.cuda.current_stream(self._place).cuda_stream)

    def upload(self, array: np.ndarray) -> Tensor:
        """Copy an array to the GPU; the array may be changed as soon as this returns."""
        pinned = self._pinned(torch.from_numpy(array))
        return pinned.copy_(torch.from_numpy(array)).to(self._place, non_blocking=True)

    def download(self, tensor: Tensor) -> np.ndarray:
        """Copy a tensor to the host and wait for the transfer."""
        pinned = self._pinned(tensor)
        pinned.copy_(tensor, non_blocking=True)
        self.mark().synchronize()
        return pinned.numpy()

    def _pinned(self, like: Tensor) -> Tensor:
        """Allocate pinned memory; PyTorch reuses it once the GPU has finished with it."""
        return self.host_memory(like.nbytes).view(like.dtype).view(like.shape)
