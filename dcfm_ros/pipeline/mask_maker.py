# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a frame's features to its mask: in the size and with the classes that are asked for."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from dcfm_ros.model.class_map import ClassMap
from dcfm_ros.pipeline.backends.base import Backend, Feature, Motions
from dcfm_ros.pipeline.frames import Wanted
from dcfm_ros.pipeline.postprocess import (
    upsampled_argmax,
    upsampled_argmax_confidence,
    upsampled_probabilities,
)
from dcfm_ros.pipeline.settings import MaskSize


class Masks(NamedTuple):
    """As in `Segmentation`."""

    labels: np.ndarray
    confidence: np.ndarray | None
    probabilities: np.ndarray | None


class MaskMaker:
    """A mask is the arg-max of the logits at its own size, so a smaller one costs less and is not a picture
    made smaller.

    A class map renames the winners: merged classes win where one of them does, and confidence is their sum.
    """

    def __init__(self, backend: Backend, size: MaskSize = MaskSize(""), class_map: ClassMap | None = None):
        """class_map: None is that of the model's own classes."""
        self._backend, self._size, self._map = backend, size, class_map

    def make(
        self,
        shallow: Feature,
        commons: list[Feature],
        image_size: tuple[int, int],
        wanted: Wanted,
        motions: Motions,
    ) -> Masks:
        """The mask of an image of size (H, W)."""
        size, merges = self._size.of(image_size), self._map is not None and self._map.merges
        if wanted.probabilities is None and not (wanted.confidence and merges):
            labels, confidence = self._backend.mask(shallow, commons, size, wanted.confidence, motions)
            return Masks(self._mapped(labels), confidence, None)
        # Of all classes at once, which backends on a GPU do not keep: here, of the small logits.
        logits, groups = self._backend.decode(shallow, commons, motions), self._map.groups if merges else None
        labels, confidence = (
            upsampled_argmax_confidence(logits, size, groups)
            if wanted.confidence
            else (upsampled_argmax(logits, size), None)
        )
        return Masks(
            self._mapped(labels), confidence, self._probabilities(logits, size, wanted.probabilities)
        )

    def _probabilities(
        self, logits: np.ndarray, size: tuple[int, int], dtype: type | None
    ) -> np.ndarray | None:
        if dtype is None:
            return None
        groups, count = (
            (np.arange(logits.shape[0]), logits.shape[0])
            if self._map is None
            else (self._map.groups, len(self._map.classes))
        )
        return upsampled_probabilities(logits, size, groups, count, dtype)

    def _mapped(self, labels: np.ndarray) -> np.ndarray:
        return cv2.LUT(labels, self._map.table) if self._map is not None and self._map.changes_ids else labels
