# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The strong cheap rival: a frame's logits are its keyframes' logits, moved along, with no network on the
frame."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from dcfm_ros.pipeline.backends.base import added
from dcfm_ros.pipeline.backends.sampling import sampled


def moved_logits(sides: Iterable[tuple[np.ndarray, np.ndarray | None]]) -> np.ndarray:
    """Logits (classes, h, w) of a frame. sides: of one or two keyframes the logits (1, h, w, classes)
    float32, and the map from the frame to it, None where nothing moves"""
    total = added(
        logits if motion is None else sampled(logits, motion, np.empty_like(logits))
        for logits, motion in sides
    )
    return total[0].transpose(2, 0, 1)
