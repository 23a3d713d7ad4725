# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Consistency of masks over time: mVC as published, and the run lengths that it is counted by."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dcfm_ros.metrics.confusion import check_masks


def consistency_windows(
    predictions: Sequence[np.ndarray], labels: Sequence[np.ndarray], n: int
) -> np.ndarray:
    """How much of what stands still in the labels stands still in the predictions, for each window of `n`
    frames.

    predictions, labels: L masks (H, W) uint8 each, of one video. 255 counts like any class, and whether
        predictions are right does not matter
    Returns (max(0, L - n),) float64 in 0..1; a window without constant labels has 0. As in the published
    numbers the last valid window is left out. mVC_n is the mean over the windows of all videos together.
    """
    if n < 2:
        raise ValueError(f"n is {n}; give a window of at least 2 frames")
    if len(predictions) != len(labels):
        raise ValueError(
            f"there are {len(predictions)} predictions for {len(labels)} labels; give one for each frame"
        )
    shares = []
    prediction_runs, label_runs = RunLengths(n), RunLengths(n)
    for t in range(len(labels) - 1):
        check_masks(predictions[t], labels[t])
        prediction_runs.add(predictions[t])
        label_runs.add(labels[t])
        if t >= n - 1:
            shares.append(steady_share(prediction_runs, label_runs, n))
    return np.array(shares, np.float64)


class RunLengths:
    """For how many masks of a video each pixel has kept its value; masks are added in order.

    A window of n masks is constant where the run that ends with its last mask is n or more masks long. Runs
    are counted up to `longest` masks, so that their lengths take little memory: a byte for each pixel up to
    255.
    """

    def __init__(self, longest: int):
        self.frames, self.longest = 0, longest
        self.length = np.zeros((0, 0), np.uint8)  # (H, W), 1 to `longest`; nothing before the first frame
        self._last = self.length

    def add(self, mask: np.ndarray) -> None:
        """The next mask (H, W) uint8; it is kept until the one after it, so it must not change."""
        if not self.frames:
            self.begin(mask.shape)
        elif mask.shape != self._last.shape:
            raise ValueError(
                f"frame {self.frames} has shape {mask.shape} after {self._last.shape}; "
                "the frames of a video need one size"
            )
        else:
            self.extend(mask == self._last)
        self._last = mask

    def begin(self, size: tuple[int, ...]) -> None:
        """The first frame, of (height, width)."""
        self.length = np.ones(size, np.min_scalar_type(self.longest))
        self.frames = 1

    def extend(self, kept: np.ndarray) -> None:
        """The next frame: which pixels (H, W) bool have kept their value."""
        np.minimum(self.length, self.longest - 1, out=self.length)
        self.length *= kept
        self.length += 1
        self.frames += 1


def steady_share(predictions: RunLengths, labels: RunLengths, n: int) -> float:
    """Of the pixels whose label was constant in the last `n` masks, the share whose prediction was, too; 0
    without any.

    n: not above `longest` of either
    """
    steady, total = steady_pixels(predictions, labels, n)
    return steady / total if total else 0.0


def steady_pixels(runs: RunLengths, others: RunLengths, n: int) -> tuple[int, int]:
    """How many pixels were constant in the last `n` frames of both, and how many in those of `others`."""
    constant = others.length >= n
    return int(np.count_nonzero(constant & (runs.length >= n))), int(np.count_nonzero(constant))
