# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Masks as colours over the picture."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

UNLABELLED = 255


def palette_table(colors: Sequence[tuple[int, int, int]]) -> np.ndarray:
    """Colour of every mask value: (256, 3) uint8 RGB; values without a class, 255 among them, are black.

    colors: RGB 0..255 of class 0, 1, ...; at most 255
    """
    if not 1 <= len(colors) <= UNLABELLED:
        raise ValueError(
            f"there are {len(colors)} colours; give 1 to {UNLABELLED}, as mask value 255 is unlabelled"
        )
    for number, color in enumerate(colors):
        if len(color) != 3 or not all(0 <= value <= 255 for value in color):
            raise ValueError(
                f"colour of class {number} is {tuple(color)}; give red, green and blue from 0 to 255"
            )
    table = np.zeros((256, 3), np.uint8)
    table[: len(colors)] = colors
    return table


def coloured_mask(mask: np.ndarray, table: np.ndarray) -> np.ndarray:
    """The colours of a mask (H, W) uint8 alone: (H, W, 3) uint8 RGB; table: as for `blend`."""
    # cv2.LUT looks up each channel in its own column of the table, so the mask is needed in all three.
    return cv2.LUT(cv2.merge((mask, mask, mask)), table.reshape(1, 256, 3))


def blend(image: np.ndarray, mask: np.ndarray, table: np.ndarray, alpha: float) -> np.ndarray:
    """The image with its classes coloured: (H, W, 3) uint8 RGB; unlabelled pixels (255) stay as they are.

    image: (H, W, 3) uint8 RGB
    mask: (H, W) uint8 class ids
    table: (256, 3) uint8 RGB, from `palette_table`
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
    cv2.copyTo(
        image, cv2.inRange(mask, UNLABELLED, UNLABELLED), coloured
    )  # `compare` takes a mask of one pixel for a number
    return coloured
