# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""PyTorch backend for the CPU: the simple reference for the other backends. For GPUs see `cuda`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from dcfm_ros.model.alignment import aligned
from dcfm_ros.model.build import Model
from dcfm_ros.model.folder import loaded
from dcfm_ros.model.inference import fold
from dcfm_ros.model.stored import AnyModel
from dcfm_ros.motion.maps import on_grid
from dcfm_ros.pipeline.backends.base import MasksOnHost, Motions, Sharing, added, with_motions


def make(model: AnyModel, device: str, precision: str, sharing: Sharing, live: bool) -> TorchBackend:
    """Create the backend, for the table of backends."""
    return TorchBackend(loaded(model))


class TorchBackend(MasksOnHost):
    """Eager PyTorch in float32."""

    name = "torch"
    device = "cpu"
    precision = "f32"

    def __init__(self, model: Model):
        self.per_frame = model.config.architecture == "per_frame"
        self._parts = fold(model.cpu())

    def prepare(self, size: tuple[int, int]) -> None:
        """Nothing to compile."""

    @torch.inference_mode()
    def shallow(self, image: np.ndarray) -> Tensor:
        # Images of a recording are views of read-only memory, and PyTorch requires writable arrays.
        return self._parts.shallow(torch.from_numpy(image if image.flags.writeable else image.copy())[None])

    @torch.inference_mode()
    def deep(self, shallow: Tensor, between_slices: Callable[[], None] = lambda: None) -> Tensor:
        deep = self._parts.deep
        feature, outputs = shallow, []
        for stage in deep.steps_of_stages():
            for part in stage:
                between_slices()
                feature = part(feature)
            outputs.append(feature)
        between_slices()
        fused = deep.fusion(*outputs)
        between_slices()
        return deep.contribution(fused)

    @torch.inference_mode()
    def decode(self, shallow: Tensor, commons: list[Tensor], motions: Motions = ()) -> np.ndarray:
        logits = added(
            self._parts.decoder(shallow, self._aligned(common, motion))
            for common, motion in with_motions(commons, motions)
        )
        return logits[0].contiguous().numpy()

    def _aligned(self, common: Tensor, motion: np.ndarray | None) -> Tensor:
        if motion is None or self.per_frame:
            return common
        return aligned(common, torch.from_numpy(on_grid(motion, tuple(common.shape[2:])))[None])
