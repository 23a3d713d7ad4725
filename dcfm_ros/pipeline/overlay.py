# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Overlays: masks as colours over the image."""

from __future__ import annotations

import cv2
import numpy as np

from dcfm_ros.labels import IGNORE_LABEL


def coloured_mask(mask: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Return a mask (H, W) uint8 in colours, (H, W, 3) uint8 RGB. table: see `blend`"""
    # cv2.LUT looks up each channel in its own column of the table, so the mask is needed in all three.
    return cv2.LUT(cv2.merge((mask, mask, mask)), table.reshape(1, 256, 3))


def blend(image: np.ndarray, mask: np.ndarray, table: np.ndarray, alpha: float) -> np.ndarray:
    """Blend an image with the colours of its classes, (H, W, 3) uint8 RGB; unlabelled pixels (255) stay
    unchanged.

    image: (H, W, 3) uint8 RGB
    mask: (H, W) uint8 class ids
    table: (256, 3) uint8 RGB, from `class_map.palette_table`
    alpha: weight of the colours, 0 (image only) to 1 (colours only)
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"image has shape {image.shape} and type {image.dtype}; give (H, W, 3) uint8 RGB")
    if mask.shape != image.shape[:2] or mask.dtype != np.uint8:
        raise ValueError(
            f"mask has shape {mask.shape} and type {mask.dtype}; "
            f"give {image.shape[:2]} uint8, the size of the image"
        )
    if table.shape != (256, 3) or table.dtype != np.uint8:
        raise ValueError(f"table has shape {table.shape} and type {table.dtype}; make it with palette_table")
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha is {alpha}; give a weight from 0 to 1")
    coloured = coloured_mask(mask, table)
    cv2.addWeighted(image, 1 - alpha, coloured, alpha, 0, dst=coloured)
    # cv2.compare would take a mask of one pixel for a number
    cv2.copyTo(image, cv2.inRange(mask, IGNORE_LABEL, IGNORE_LABEL), coloured)
    return coloured
