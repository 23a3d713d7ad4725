# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measures of a picture that need no network: sharp, dark, the same as another?"""

from __future__ import annotations

import cv2
import numpy as np

_WIDTH = 640  # pixels, at which sharpness is measured; finer detail is noise as often as not
_DARKEST = 20  # grey level that hardly any pixel of a black picture exceeds
_FLATTEST = 3.0  # standard deviation of grey levels of a blank one
_THUMBNAIL = (24, 32)  # height, width
_COLOUR_GRID = (3, 4)
# Of two pictures of one view fewer cells than this share differ by more than so many of the thumbnail's
# standard deviations.
_CHANGED_SHARE, _CHANGE, _LEAST_CHANGE = 0.01, 0.15, 2.0


def grey(image: np.ndarray) -> np.ndarray:
    """Return an image (H, W, 3) uint8 RGB in grey, at most 640 pixels wide."""
    levels = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    height, width = levels.shape
    if width <= _WIDTH:
        return levels
    return cv2.resize(levels, (_WIDTH, max(1, round(height * _WIDTH / width))), interpolation=cv2.INTER_AREA)


def is_blank(levels: np.ndarray) -> bool:
    """Return whether a grey picture is black, or shows nothing, as behind a lens cap or in glaring light."""
    return bool(np.percentile(levels, 99) < _DARKEST or levels.std() < _FLATTEST)


def sharpness(levels: np.ndarray) -> float:
    """Return the variance of the Laplacian, relative to the squared mean level, so that exposure does not
    count. It compares pictures of one place only."""
    smooth = cv2.GaussianBlur(levels, (3, 3), 0)  # noise is no detail
    return float(cv2.Laplacian(smooth, cv2.CV_32F).var() / max(float(smooth.mean()), 1.0) ** 2)


def thumbnail(levels: np.ndarray) -> np.ndarray:
    """Return a grey picture in 24 x 32 pixels."""
    return cv2.resize(levels, _THUMBNAIL[::-1], interpolation=cv2.INTER_AREA)


def colours(image: np.ndarray) -> np.ndarray:
    """Return the mean colours of a coarse grid in CIE L*a*b*, (cells x 3,) float16."""
    small = cv2.resize(image, _COLOUR_GRID[::-1], interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return lab.reshape(-1).astype(np.float16)


def same_view(thumbnails: np.ndarray, one: np.ndarray) -> np.ndarray:
    """Return for each thumbnail (N, h, w) whether it shows nearly the same as `one` (h, w): (N,) bool."""
    limit = max(_LEAST_CHANGE, _CHANGE * float(one.std()))
    changed = np.abs(thumbnails.astype(np.int16) - one.astype(np.int16)) > limit
    return changed.mean(axis=(1, 2)) < _CHANGED_SHARE
