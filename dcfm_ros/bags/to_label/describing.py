# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a network says of an image: its common feature on a coarse grid, how uncertain it is, its mask."""

from __future__ import annotations

import math

import numpy as np

from dcfm_ros.model.build import Model
from dcfm_ros.model.geometry import input_size
from dcfm_ros.pipeline.backends import make_backend
from dcfm_ros.pipeline.backends.base import Feature, stop_backend
from dcfm_ros.pipeline.backends.feature_values import feature_values
from dcfm_ros.pipeline.frames import Frame
from dcfm_ros.pipeline.preprocess import network_input

_GRID = (2, 3)  # rows, columns
_MOST = 60_000.0  # that float16 holds


class Describer:
    """Runs a model on single images, each as a keyframe; use it in a `with` statement."""

    def __init__(self, model: Model, backend: str, precision: str):
        self.backend = make_backend(backend, model, precision=precision)
        self._size = (model.config.input_height, model.config.input_width)

    def describe(self, image: np.ndarray) -> tuple[np.ndarray, float]:
        """Return the feature (cells x channels,) float16 and the uncertainty, 0 to 1, of an image (H, W, 3)
        uint8 RGB."""
        shallow, common = self._features(image)
        feature = pooled(feature_values(common))
        return feature, mean_entropy(self.backend.decode(shallow, [common]))

    def mask(self, image: np.ndarray) -> np.ndarray:
        """Return the mask (H, W) uint8 of an image, in class ids of the model."""
        shallow, common = self._features(image)
        return self.backend.mask(shallow, [common], image.shape[:2])[0]

    def _features(self, image: np.ndarray) -> tuple[Feature, Feature]:
        size = input_size(image.shape[:2], self._size)
        shallow = self.backend.shallow(network_input(Frame("", 0, image), size))
        return shallow, self.backend.deep(shallow)

    def __enter__(self) -> Describer:
        return self

    def __exit__(self, *_) -> None:
        stop_backend(self.backend)


def pooled(values: np.ndarray) -> np.ndarray:
    """Return the mean of values (channels, h, w) in each cell of a grid of 2 x 3: (cells x channels,)
    float16."""
    rows = np.array_split(np.arange(values.shape[1]), _GRID[0])
    columns = np.array_split(np.arange(values.shape[2]), _GRID[1])
    means = [
        values[:, row[0] : row[-1] + 1, column[0] : column[-1] + 1].mean(axis=(1, 2))
        for row in rows
        for column in columns
    ]
    return np.clip(np.concatenate(means), -_MOST, _MOST).astype(np.float16)


def mean_entropy(logits: np.ndarray) -> float:
    """Return the mean entropy of the probabilities of logits (classes, h, w), as a share of the greatest."""
    classes = logits.shape[0]
    if classes == 1:
        return 0.0
    some = logits[:, ::2, ::2].astype(np.float32)
    some = some - some.max(axis=0)
    total = np.exp(some).sum(axis=0)
    entropy = np.log(total) - (np.exp(some) * some).sum(axis=0) / total
    return float(entropy.mean() / math.log(classes))
