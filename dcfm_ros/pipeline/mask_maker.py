# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Mask maker: turns a frame's features into its mask, at the configured size and with the class map's
classes."""

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
    """A mask and its optional outputs, see `Segmentation`."""

    labels: np.ndarray
    confidence: np.ndarray | None
    probabilities: np.ndarray | None


class MaskMaker:
    """Makes masks as the arg-max of the logits at the mask's own size, so a smaller mask costs less and is
    not a resized one.

    A class map renames the winners: a merged class wins where one of its members does, and its confidence is
    their sum.
    """

    def __init__(self, backend: Backend, size: MaskSize = MaskSize(""), class_map: ClassMap | None = None):
        """class_map: None for the model's own classes"""
        self._backend, self._size, self._map = backend, size, class_map

    def make(
        self,
        shallow: Feature,
        commons: list[Feature],
        image_size: tuple[int, int],
        wanted: Wanted,
        motions: Motions,
    ) -> Masks:
        """Make the mask of an image of size (H, W)."""
        size, merges = self._size.of(image_size), self._map is not None and self._map.merges
        if wanted.probabilities is None and not (wanted.confidence and merges):
            labels, confidence = self._backend.mask(shallow, commons, size, wanted.confidence, motions)
            return Masks(self._mapped(labels), confidence, None)
        # These need the scores of all classes, which GPU backends do not keep: computed here from the small
        # logits.
        logits = self._backend.decode(shallow, commons, motions)
        groups = self._map.groups if self._map is not None and merges else None
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
