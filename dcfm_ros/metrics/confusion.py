# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Confusion matrix of masks, with the accuracies that follow from it, as the published numbers are
computed."""

from __future__ import annotations

import numpy as np

from dcfm_ros.labels import IGNORE_LABEL


class ConfusionMatrix:
    """Pixel counts of a whole run, by class in the label and class in the prediction.

    classes: number of classes, 1 to 255; ids are 0..classes-1

    `counts` is (classes, classes + 1) int64, row = label, column = prediction. Its last column counts
    predictions that are no class, such as the 255 of an unlabelled or missing mask: on a labelled pixel they
    are wrong.
    """

    def __init__(self, classes: int):
        if not 1 <= classes <= IGNORE_LABEL:
            raise ValueError(f"classes is {classes}; give a whole number from 1 to {IGNORE_LABEL}")
        self.classes = classes
        self.counts = np.zeros((classes, classes + 1), np.int64)

    def add(self, prediction: np.ndarray, label: np.ndarray) -> None:
        """Count one frame: both (H, W) uint8; pixels whose label is 255 are left out."""
        check_masks(prediction, label)
        # All 65,536 pairs are counted at once: that is faster than picking out the valid pixels first.
        pairs = (label.astype(np.uint16) << 8) | prediction
        pairs = np.bincount(pairs.ravel(), minlength=1 << 16).reshape(256, 256)
        unknown = np.flatnonzero(pairs[self.classes : IGNORE_LABEL].any(axis=1))
        if unknown.size:
            raise ValueError(
                f"label holds the id {self.classes + unknown[0]}, but there are {self.classes} classes; "
                f"mark unlabelled pixels with {IGNORE_LABEL}"
            )
        known = pairs[: self.classes]
        self.counts[:, :-1] += known[:, : self.classes]
        self.counts[:, -1] += known[:, self.classes :].sum(axis=1)

    def add_missing(self, label: np.ndarray) -> None:
        """Count a frame that got no mask: wrong on every labelled pixel."""
        self.add(np.full_like(label, IGNORE_LABEL), label)

    def merge(self, other: ConfusionMatrix) -> None:
        """Count all that `other` has counted; it has the same classes."""
        if other.classes != self.classes:
            raise ValueError(
                f"a matrix of {other.classes} classes cannot be merged into one of {self.classes}; "
                "both need the same classes"
            )
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


def check_masks(prediction: np.ndarray, label: np.ndarray) -> None:
    """Raise ValueError unless both are (H, W) uint8 of one size."""
    for what, mask in (("prediction", prediction), ("label", label)):
        if mask.ndim != 2 or mask.dtype != np.uint8:
            raise ValueError(
                f"{what} has shape {mask.shape} and type {mask.dtype}; give (H, W) uint8 class ids"
            )
    if prediction.shape != label.shape:
        raise ValueError(
            f"prediction has shape {prediction.shape} but label {label.shape}; "
            "bring the prediction to the size of the label"
        )


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")
