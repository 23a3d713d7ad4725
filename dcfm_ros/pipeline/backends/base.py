# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the pipeline asks of a backend."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from functools import reduce
from operator import add
from typing import Any, Protocol

import numpy as np

from dcfm_ros.pipeline.postprocess import upsampled_argmax, upsampled_argmax_confidence

Feature = Any  # belongs to the backend that made it: the pipeline only keeps it and hands it back
# For each common contribution the map (h, w, 2) float32 (dcfm_ros.motion.maps) from the frame to the
# keyframe, on any grid, through which it is sampled; None: it is taken as it is. () is None for all. Logits
# of a per-frame network are never sampled.
Motions = Sequence[np.ndarray | None]


class Sharing(Enum):
    """How the deep path shares a CPU with frames."""

    TURNS = "turns"  # all cores for both, by turns: it is cut into slices, and a frame waits for one at most
    CORES = "cores"  # each has half of the cores
    NONE = "none"  # whoever needs it waits for it: uncut, which is faster


class BackendError(RuntimeError):
    """A backend that cannot be had; the message names the remedy."""


class Backend(Protocol):
    """Runs the three parts of a model (dcfm_ros.model.inference), one image at a time, any input size; what
    must be compiled for a size is compiled when the size first comes.

    `shallow`, `decode` and `mask` are called by one thread, `deep` by it, too, or by one other thread at the
    same time. A returned feature stays valid as long as it is kept; the logits array until the next call of
    `decode` or `mask`; masks are the caller's. On a GPU `shallow` may return before it is computed: whatever
    takes the feature waits for it. A backend may also have `status() -> dict[str, str]` for any thread,
    `stop()`, which ends threads of its own, and `forget(size)` for the thread of `prepare`: see `status_of`,
    `stop_backend` and `forget_size`.
    """

    name: str
    device: str
    precision: str  # f32, bf16 or f16
    per_frame: bool  # a per-frame network: `deep` gives its logits, and `decode` hands them on, whatever S is

    def prepare(self, size: tuple[int, int]) -> None:
        """Compile for network inputs of size (H, W). Any thread, beside all other calls; otherwise `shallow`
        does it."""

    def shallow(self, image: np.ndarray) -> Feature:
        """(H, W, 3) uint8 RGB to the independent feature S."""

    def deep(self, shallow: Feature, between_slices: Callable[[], None] = lambda: None) -> Feature:
        """S of a keyframe to its common contribution, in slices; `between_slices` is called between them."""

    def decode(self, shallow: Feature, commons: list[Feature], motions: Motions = ()) -> np.ndarray:
        """Logits (classes, h, w) float32, h and w those of the common contribution (stride 4, of ResNet 8):
        the sum over the common contributions of one or two keyframes, each moved by its map."""

    def mask(
        self,
        shallow: Feature,
        commons: list[Feature],
        size: tuple[int, int],
        with_confidence: bool = False,
        motions: Motions = (),
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Class ids (H, W) uint8 at camera size (H, W), of the logits that `decode` gives, upsampled
        bilinearly; and, if asked for, the winning class's softmax x 255, (H, W) uint8."""


def with_motions(commons: Sequence[Feature], motions: Motions) -> list[tuple[Feature, np.ndarray | None]]:
    """Each common contribution with its map."""
    return list(zip(commons, motions or [None] * len(commons), strict=True))


def added(logits: Iterable[Any]) -> Any:
    """The sum over keyframes. Python's `sum` would begin with 0 and so cost a pass over the logits, or on a
    GPU a kernel."""
    return reduce(add, logits)


def status_of(backend: Backend) -> dict[str, str]:
    """What a backend says of itself, for diagnostics. `state` is the whole in words; `problem`, if there, is
    what is wrong."""
    status = {"backend": backend.name, "device": backend.device, "precision": backend.precision}
    status["state"] = f"{backend.name} on {backend.device} in {backend.precision}"
    return status | backend.status() if hasattr(backend, "status") else status


def stop_backend(backend: Backend) -> None:
    """End the threads of a backend that has any."""
    if hasattr(backend, "stop"):
        backend.stop()


def forget_size(backend: Backend, size: tuple[int, int]) -> None:
    """Let a backend that keeps what it compiles for network inputs of size (H, W) drop that. Features of that
    size that are still around may be of no more use."""
    if hasattr(backend, "forget"):
        backend.forget(size)


class MasksOnHost:
    """`mask` for backends whose logits come to the CPU anyway."""

    def mask(
        self,
        shallow: Feature,
        commons: list[Feature],
        size: tuple[int, int],
        with_confidence: bool = False,
        motions: Motions = (),
    ) -> tuple[np.ndarray, np.ndarray | None]:
        logits = self.decode(shallow, commons, motions)
        return (
            upsampled_argmax_confidence(logits, size)
            if with_confidence
            else (upsampled_argmax(logits, size), None)
        )
