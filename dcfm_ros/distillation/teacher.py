# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a teacher is: any network that segments single frames, as a function from a picture to
probabilities."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from dcfm_ros.model.config import ClassSpec


class Teacher(Protocol):
    """A network that segments single frames. For one thread."""

    name: str  # for messages and records
    identity: str  # hash of the weights
    classes: tuple[ClassSpec, ...]
    folder: Path | None  # of a model of this package, from which a student can start

    def probabilities(self, picture: np.ndarray) -> np.ndarray:
        """Return (classes, h, w) float32, at any size, of a picture (H, W, 3) uint8 RGB."""

    def stop(self) -> None:
        """End the network's threads."""


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return the probabilities of logits (classes, h, w)."""
    shares = np.exp(logits - logits.max(axis=0))
    return shares / shares.sum(axis=0)
