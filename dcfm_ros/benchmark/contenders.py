# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who takes part: ways from a camera image, (H, W, 3) uint8, to its mask, (H, W) uint8 class ids."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dcfm_ros.benchmark.border import blocky_logits, laid_out_as
from dcfm_ros.benchmark.interleave import Contender, Laps, Run
from dcfm_ros.benchmark.scene import Scene
from dcfm_ros.model.fusion import resize
from dcfm_ros.model.image import normalised
from dcfm_ros.model.inference import fold
from dcfm_ros.model.per_frame import PerFrame
from dcfm_ros.pipeline.backends.base import Backend, MasksOnHost
from dcfm_ros.pipeline.backends.monolithic import Network
from dcfm_ros.pipeline.frames import Frame, KeyframeEvent
from dcfm_ros.pipeline.postprocess import upsampled_argmax
from dcfm_ros.pipeline.preprocess import network_input
from dcfm_ros.pipeline.segmenter import Segmenter
from dcfm_ros.pipeline.settings import PipelineConfig, SchedulerConfig

NEVER = SchedulerConfig(1000, 1000)  # keyframes; but for the first
ALWAYS = SchedulerConfig(1, 1)


def type_of(network: nn.Module) -> torch.dtype:
    """Of its weights, which its input must have, too."""
    return next(network.parameters()).dtype


def plain(name: str, run: Run, scene: Scene) -> Contender:
    """One that keeps nothing between bursts."""
    return Contender(name, lambda: nullcontext(run), scene.frames)


# Per-frame networks beside the pipeline


class PublishedNetwork(nn.Module):
    """A per-frame network as published: its own order of operations, all logits upsampled to camera size,
    argmax."""

    def __init__(self, model: PerFrame, camera: tuple[int, int]):
        super().__init__()
        self.model, self.camera = model, camera

    def forward(self, image: Tensor) -> Tensor:
        """(1, h, w, 3) uint8 to (1, H, W) uint8."""
        self.model.published_order = True
        logits = self.model.keyframe(
            normalised(image, self.model.config.normalisation).to(type_of(self.model))
        )
        return resize(logits, self.camera).argmax(1).to(torch.uint8)


class RewrittenNetwork(nn.Module):
    """The same network with the exact rewrites of `fold`, as far as its logits."""

    def __init__(self, model: PerFrame):
        super().__init__()
        parts = fold(model)
        self.shallow, self.deep = parts.shallow, parts.deep

    def forward(self, image: Tensor) -> Tensor:
        """(1, h, w, 3) uint8 to logits (1, h', w', classes): classes last, as upsample-and-argmax has them
        fastest."""
        return self.deep(self.shallow(image)).permute(0, 2, 3, 1)


def published_run(network: Network, size: tuple[int, int]) -> Run:
    """Masks by a compiled PublishedNetwork; size: (h, w) of its input."""

    def run(frame: Frame, watch: Laps) -> None:
        network(network_input(frame, size))

    return run


def rewritten_run(network: Network, size: tuple[int, int]) -> Run:
    """Masks by a compiled RewrittenNetwork."""

    def run(frame: Frame, watch: Laps) -> None:
        logits = network(network_input(frame, size))[0].transpose(2, 0, 1)
        upsampled_argmax(np.asarray(logits, np.float32), frame.image.shape[:2])

    return run


# The pipeline


@dataclass
class PipelineRow:
    """The segmenter under a schedule, as the node runs it. Each burst has one of its own, which ends with
    it."""

    name: str
    backend: Backend
    model_size: tuple[int, int]
    config: PipelineConfig
    keyframes: int = field(default=0, init=False)

    def contender(self, scene: Scene, **how) -> Contender:
        """`how`: as for Contender."""
        return Contender(
            **{
                "name": self.name,
                "open": self.open,
                "frames": scene.frames,
                "count": lambda: self.keyframes,
                **how,
            }
        )

    @contextmanager
    def open(self) -> Iterator[Run]:
        failures: list[Exception] = []
        segmenter = Segmenter(
            Borrowed(self.backend),
            self.model_size,
            self.config,
            on_keyframe=self._count,
            on_error=lambda camera, error: failures.append(error),
        )

        def run(frame: Frame, watch: Laps) -> None:
            masks = segmenter.process(frame)
            if failures or not masks:
                raise RuntimeError(f"{self.name}: frame without a mask") from next(iter(failures), None)

        try:
            yield run
        finally:
            segmenter.stop()

    def _count(self, event: KeyframeEvent) -> None:
        self.keyframes += 1


def fixed_interval(interval: int) -> dict:
    """How a contender is timed that has keyframes every K frames: a burst has whole periods."""
    return {"settle": interval, "multiple": interval}


def adaptive(scheduler: SchedulerConfig) -> dict:
    """The same with AKS: a burst begins anywhere between two keyframes and has several."""
    return {"settle": scheduler.max_interval, "least": 2 * scheduler.max_interval}


class Borrowed:
    """A backend for segmenters that end before it does: it is not theirs to stop."""

    def __init__(self, backend: Backend):
        self._backend = backend

    def __getattr__(self, name: str) -> Any:
        if name == "stop":
            raise AttributeError(name)
        return getattr(self._backend, name)


class EveryCellABorder(Borrowed):
    """Makes masks of other logits than its own, with a border in every cell; else it does the same work."""

    _logits: np.ndarray | None = None

    def mask(self, shallow, commons, size, with_confidence=False, motions=()):
        own = self._backend.decode(shallow, commons, motions)
        if self._logits is None or self._logits.shape != own.shape:
            self._logits = laid_out_as(own, blocky_logits(own.shape[0], own.shape[1:], 1.0))
        return upsampled_argmax(self._logits, size), None


def masks_on_host(backend: Backend) -> bool:
    """Does the backend make masks of logits in host memory, by `pipeline.postprocess`? Else it makes them on
    its device."""
    return getattr(type(backend), "mask", None) is MasksOnHost.mask
