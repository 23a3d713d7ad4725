# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Logits whose share of border cells is known: the time of upsample-and-argmax depends on it.

A cell lies between four neighbouring positions of the logits. It is a border cell if their winning classes
differ.
"""

from __future__ import annotations

import cv2
import numpy as np

_LEVEL, _NOISE = 8.0, 0.1  # of the logits, above the other classes
# both classes of a border stand out there, as they do in a network's logits
_SOFT = np.array([1.0, 3.0, 1.0]) / 5.0


def border_share(logits: np.ndarray) -> float:
    """Border cells among the cells of logits (classes, h, w), 0 to 1."""
    winners = logits.argmax(0)
    first = winners[:-1, :-1]
    differ = (first != winners[:-1, 1:]) | (first != winners[1:, :-1]) | (first != winners[1:, 1:])
    return float(differ.mean()) if differ.size else 0.0


def blocky_logits(classes: int, size: tuple[int, int], share: float, seed: int = 0) -> np.ndarray:
    """Logits (classes, h, w) float32 of rectangular regions with blurred borders; `share` of the cells are
    border cells.

    What is reached is as near to `share` as whole rows and columns allow.
    """
    if not 0.0 <= share <= 1.0 or (classes < 2 and share > 0.0):
        raise ValueError(
            f"border share {share} of {classes} classes: use 0 to 1, and two classes or more for borders"
        )
    along = 1.0 - np.sqrt(1.0 - share)  # of the rows, and of the columns: a cell may lie on either
    down, across = (_regions(length, along) for length in size)
    winners = (down[:, None] + across[None, :]) % classes
    logits = _NOISE * np.random.default_rng(seed).random((classes, *size), np.float32)
    for number, plane in enumerate(logits):
        region = _LEVEL * (winners == number).astype(np.float32)
        plane += cv2.sepFilter2D(region, -1, _SOFT, _SOFT, borderType=cv2.BORDER_REPLICATE)
    return logits


def laid_out_as(other: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """A copy of `logits` in the memory layout of `other`, which has the same shape."""
    copy = np.empty_like(other)
    copy[...] = logits
    return copy


def _regions(length: int, share: float) -> np.ndarray:
    """Numbers of regions along an axis of `length` positions, where `share` of the steps lead to the next
    region."""
    steps = np.diff(np.floor(np.arange(length) * share + 0.5), prepend=0.0)
    return np.cumsum(steps).astype(np.int64)
