"""What the pipeline asks of a backend."""

from __future__ import annotations

from typing import Any, Callable, Protocol

import numpy as np

Feature = Any  # belongs to the backend that made it: the pipeline only keeps it and hands it back


class BackendError(RuntimeError):
    """A backend that cannot be had; the message names the remedy."""


class Backend(Protocol):
    """Runs the three parts of a model (dcfm_ros.model.inference), one image at a time, any input size; what must be compiled
    for a size is compiled when the size first comes.

    `shallow` and `decode` are called by one thread, `deep` by one other thread at the same time. A returned feature
    stays valid as long as it is kept; the logits array until the next call of `decode`.
    """

    name: str
    device: str
    per_frame: bool   # a per-frame network: `deep` gives its logits, and `decode` hands them on, whatever S is

    def shallow(self, image: np.ndarray) -> Feature:
        """(H, W, 3) uint8 RGB to the independent feature S."""

    def deep(self, shallow: Feature, give_way: Callable[[], None] = lambda: None) -> Feature:
        """S of a keyframe to its common contribution, in slices; `give_way` is called between them."""

    def decode(self, shallow: Feature, commons: list[Feature]) -> np.ndarray:
        """Logits (classes, h, w) float32, h and w those of the common contribution (stride 4, of ResNet 8): the sum over the
        common contributions of one or two keyframes."""
