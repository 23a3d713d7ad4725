# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Interface of the inference backends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from functools import reduce
from operator import add
from typing import Any, Protocol

import numpy as np

Feature = Any  # opaque: only the backend that made it looks inside
# For each common contribution the map (h, w, 2) float32 (dcfm_ros.motion.maps) from the frame to the
# keyframe, on any grid, through which it is sampled; None: used unaligned. () means None for all. Logits of a
# per-frame network are never sampled.
Motions = Sequence[np.ndarray | None]


class Sharing(Enum):
    """The way in which the deep path shares a CPU with frames."""

    TURNS = "turns"  # both use all cores in turns: cut into slices, of which a frame waits for one at most
    CORES = "cores"  # each has half of the cores
    NONE = "none"  # nothing runs in parallel with it: not cut, which is faster


class BackendError(RuntimeError):
    """A backend that is not available or cannot run; the message names the remedy."""


class Backend(Protocol):
    """Runs the three parts of a model (dcfm_ros.model.inference), one image at a time, for any input size;
    networks are compiled when a size is first used.

    `shallow`, `decode` and `mask` are called by one thread, `deep` by the same or by one other thread at the
    same time. A returned feature stays valid as long as it is referenced; the logits array until the next
    call of `decode` or `mask`; masks belong to the caller. On a GPU `shallow` may return before the feature
    is computed: methods that take the feature wait for it. Optional methods: `status() -> dict[str, str]` for
    any thread, `stop()`, which ends the backend's own threads, and `forget(size)` for the thread of
    `prepare`; see `status_of`, `stop_backend` and `forget_size`.
    """

    name: str
    device: str
    precision: str  # f32, bf16 or f16
    per_frame: bool  # a per-frame network: `deep` gives its logits, and `decode` hands them on, whatever S is

    def prepare(self, size: tuple[int, int]) -> None:
        """Compile for network inputs of size (H, W). May run on any thread, in parallel with all other calls;
        without it, `shallow` compiles."""

    def shallow(self, image: np.ndarray) -> Feature:
        """Compute the independent feature S of an image (H, W, 3) uint8 RGB."""

    def deep(self, shallow: Feature, between_slices: Callable[[], None] = lambda: None) -> Feature:
        """Compute the common contribution from a keyframe's S, in slices; calls `between_slices` between
        them."""

    def decode(self, shallow: Feature, commons: list[Feature], motions: Motions = ()) -> np.ndarray:
        """Return logits (classes, h, w) float32 at the resolution of the common contribution (stride 4;
        ResNet: 8): the sum over the common contributions of one or two keyframes, each sampled through its
        map."""

    def mask(
        self,
        shallow: Feature,
        commons: list[Feature],
        size: tuple[int, int],
        with_confidence: bool = False,
        motions: Motions = (),
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return class ids (H, W) uint8 at `size` (H, W), from the logits of `decode` upsampled bilinearly;
        and, if requested, the winning class's softmax x 255, (H, W) uint8."""


def with_motions(commons: Sequence[Feature], motions: Motions) -> list[tuple[Feature, np.ndarray | None]]:
    """Pair each common contribution with its map."""
    return list(zip(commons, motions or [None] * len(commons), strict=True))


def added(logits: Iterable[Any]) -> Any:
    """Sum the logits of keyframes. Python's `sum` starts with 0, which would cost another pass over the
    logits, or a kernel on a GPU."""
    return reduce(add, logits)


def status_of(backend: Backend) -> dict[str, str]:
    """Return a backend's status for diagnostics. `state` is a summary in words; `problem`, if present, says
    what is wrong."""
    status = {"backend": backend.name, "device": backend.device, "precision": backend.precision}
    status["state"] = f"{backend.name} on {backend.device} in {backend.precision}"
    return status | backend.status() if hasattr(backend, "status") else status


def stop_backend(backend: Backend) -> None:
    """Stop the threads of a backend, if it has any."""
    if hasattr(backend, "stop"):
        backend.stop()


def forget_size(backend: Backend, size: tuple[int, int]) -> None:
    """Let a backend drop what it has compiled for network inputs of size (H, W). Existing features of that
    size may become unusable."""
    if hasattr(backend, "forget"):
        backend.forget(size)


class MasksOnHost:
    """Implements `mask` for backends whose logits are in host memory anyway."""

    decode: Callable[..., np.ndarray]  # of the backend

    def mask(
        self,
        shallow: Feature,
        commons: list[Feature],
        size: tuple[int, int],
        with_confidence: bool = False,
        motions: Motions = (),
    ) -> tuple[np.ndarray, np.ndarray | None]:
        # here, as numba takes long to import and the program that converts models needs none of it
        from dcfm_ros.pipeline.postprocess import upsampled_argmax, upsampled_argmax_confidence

        logits = self.decode(shallow, commons, motions)
        return (
            upsampled_argmax_confidence(logits, size)
            if with_confidence
            else (upsampled_argmax(logits, size), None)
        )
