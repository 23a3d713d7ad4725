# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Accuracy of masks and their consistency over time, as the published numbers are computed."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

VOID = 255


class ConfusionMatrix:
    """Pixel counts of a whole run, by class in the label and class in the prediction.

    classes: number of classes, 1 to 255; ids are 0..classes-1

    `counts` is (classes, classes + 1) int64, row = label, column = prediction. Its last column counts predictions
    that are no class, such as the 255 of an unlabelled or missing mask: on a labelled pixel they are wrong.
    """

    def __init__(self, classes: int):
        if not 1 <= classes <= VOID:
            raise ValueError(f"classes is {classes}; give a whole number from 1 to {VOID}")
        self.classes = classes
        self.counts = np.zeros((classes, classes + 1), np.int64)

    def add(self, prediction: np.ndarray, label: np.ndarray) -> None:
        """Count one frame: both (H, W) uint8; pixels whose label is 255 are left out."""
        _check_masks(prediction, label)
        # All 65,536 pairs are counted at once: that is faster than picking out the valid pixels first.
        pairs = (label.astype(np.uint16) << 8) | prediction
        pairs = np.bincount(pairs.ravel(), minlength=1 << 16).reshape(256, 256)
        unknown = np.flatnonzero(pairs[self.classes:VOID].any(axis=1))
        if unknown.size:
            raise ValueError(f"label holds the id {self.classes + unknown[0]}, but there are {self.classes} classes; "
                             f"mark unlabelled pixels with {VOID}")
        known = pairs[:self.classes]
        self.counts[:, :-1] += known[:, :self.classes]
        self.counts[:, -1] += known[:, self.classes:].sum(axis=1)

    def add_missing(self, label: np.ndarray) -> None:
        """Count a frame that got no mask: wrong on every labelled pixel."""
        self.add(np.full_like(label, VOID), label)

    def merge(self, other: ConfusionMatrix) -> None:
        """Count all that `other` has counted; it has the same classes."""
        if other.classes != self.classes:
            raise ValueError(f"a matrix of {other.classes} classes cannot be merged into one of {self.classes}; "
                             "both need the same classes")
        self.counts += other.counts

    def iou(self) -> np.ndarray:
        """Intersection over union of each class (classes,) float64; nan for classes that no label has."""
        labelled, hits = self.counts.sum(axis=1), np.diagonal(self.counts)
        predicted = self.counts[:, :-1].sum(axis=0)
        with np.errstate(invalid="ignore"):
            return np.where(labelled > 0, hits / (labelled + predicted - hits), np.nan)

    @property
    def miou(self) -> float:
        """Mean IoU over the classes that labels have; nan before the first labelled pixel."""
        iou = self.iou()
        present = ~np.isnan(iou)
        return float(iou[present].mean()) if present.any() else float("nan")

    @property
    def miou_all(self) -> float:
        """Mean IoU over all classes, those that no label has counting 0, as in the published numbers."""
        return float(np.nan_to_num(self.iou()).mean())

    @property
    def wiou(self) -> float:
        """IoU weighted by the classes' shares of labelled pixels."""
        labelled = self.counts.sum(axis=1)
        return _ratio((labelled * np.nan_to_num(self.iou())).sum(), labelled.sum())

    @property
    def pixel_accuracy(self) -> float:
        """Share of labelled pixels whose prediction is right."""
        return _ratio(np.trace(self.counts), self.counts.sum())


def consistency_windows(predictions: Sequence[np.ndarray], labels: Sequence[np.ndarray], n: int) -> np.ndarray:
    """How much of what stands still in the labels stands still in the predictions, for each window of `n` frames.

    predictions, labels: L masks (H, W) uint8 each, of one video. 255 counts like any class, and whether predictions
        are right does not matter
    Returns (max(0, L - n),) float64 in 0..1; a window without constant labels has 0. As in the published numbers the
    last valid window is left out. mVC_n is the mean over the windows of all videos together.
    """
    if n < 2:
        raise ValueError(f"n is {n}; give a window of at least 2 frames")
    if len(predictions) != len(labels):
        raise ValueError(f"there are {len(predictions)} predictions for {len(labels)} labels; give one for each frame")
    shares = []
    prediction_runs, label_runs = RunLengths(n), RunLengths(n)
    for t in range(len(labels) - 1):
        _check_masks(predictions[t], labels[t])
        prediction_runs.add(predictions[t])
        label_runs.add(labels[t])
        if t >= n - 1:
            shares.append(steady_share(prediction_runs, label_runs, n))
    return np.array(shares, np.float64)


class RunLengths:
    """For how many masks of a video each pixel has kept its value; masks are added in order.

    A window of n masks is constant where the run that ends with its last mask is n or more masks long. Runs are counted
    up to `longest` masks, so that their lengths take little memory: a byte for each pixel up to 255.
    """

    def __init__(self, longest: int):
        self.frames, self.longest = 0, longest
        self.length: np.ndarray | None = None   # (H, W), 1 to `longest`
        self._last: np.ndarray | None = None

    def add(self, mask: np.ndarray) -> None:
        """The next mask (H, W) uint8; it is kept until the one after it, so it must not change."""
        if self.length is None:
            self.begin(mask.shape)
        elif mask.shape != self._last.shape:
            raise ValueError(f"frame {self.frames} has shape {mask.shape} after {self._last.shape}; "
                             "the frames of a video need one size")
        else:
            self.extend(mask == self._last)
        self._last = mask

    def begin(self, size: tuple[int, int]) -> None:
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
    """Of the pixels whose label was constant in the last `n` masks, the share whose prediction was, too; 0 without any.

    n: not above `longest` of either
    """
    steady, total = steady_pixels(predictions, labels, n)
    return steady / total if total else 0.0


def steady_pixels(runs: RunLengths, others: RunLengths, n: int) -> tuple[int, int]:
    """How many pixels were constant in the last `n` frames of both, and how many in those of `others`."""
    constant = others.length >= n
    return np.count_nonzero(constant & (runs.length >= n)), np.count_nonzero(constant)


def _check_masks(prediction, label):
    for what, mask in (("prediction", prediction), ("label", label)):
        if mask.ndim != 2 or mask.dtype != np.uint8:
            raise ValueError(f"{what} has shape {mask.shape} and type {mask.dtype}; give (H, W) uint8 class ids")
    if prediction.shape != label.shape:
        raise ValueError(f"prediction has shape {prediction.shape} but label {label.shape}; "
                         "bring the prediction to the size of the label")


def _ratio(part, whole):
    return float(part / whole) if whole else float("nan")
