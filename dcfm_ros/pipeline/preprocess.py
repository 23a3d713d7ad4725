# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Preprocessing: camera image to network input."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from dcfm_ros.compiled import njit
from dcfm_ros.pipeline.frames import Frame
from dcfm_ros.pipeline.parallel_rows import parallel_rows


def network_input(frame: Frame, size: tuple[int, int]) -> np.ndarray:
    """Return the network input (h, w, 3) uint8 RGB of size (height, width); normalisation is part of the
    network.

    Each side is shrunk by area averaging or enlarged bilinearly.
    """
    image, is_bgr = frame.image, frame.is_bgr
    smaller = min(image.shape[0], size[0]), min(image.shape[1], size[1])
    if image.shape[:2] != smaller:
        image, is_bgr = shrunk(image, smaller, swap=is_bgr), False
    if smaller != size:
        image = cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB) if is_bgr else np.ascontiguousarray(image)


def shrunk(image: np.ndarray, size: tuple[int, int], swap: bool = False) -> np.ndarray:
    """Shrink an image (H, W, 3) uint8 to size (h, w) by area averaging; `swap` exchanges the first and the
    last channel.

    Equals OpenCV's INTER_AREA except for the rounding of single values, in a fifth of its time: the sums over
    rows, most of the work, are contiguous in memory.
    """
    rows, columns = _overlaps(size[0], image.shape[0]), _overlaps(size[1], image.shape[1])
    image = np.ascontiguousarray(image).reshape(image.shape[0], -1).view()
    image.flags.writeable = False  # as those of messages: the loop is compiled once
    small = np.empty((*size, 3), np.uint8)
    parallel_rows(size[0], lambda first, last: _average(image, *rows, *columns, swap, small, first, last))
    return small


@lru_cache(maxsize=64)
def _overlaps(small: int, large: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return, for each of `small` output pixels, the first of the `large` input pixels that it covers, their
    number, and their weights (small, greatest number) float32."""
    edges = np.arange(small + 1) * (large / small)
    first, last = np.floor(edges[:-1] + 1e-9).astype(int), np.ceil(edges[1:] - 1e-9).astype(int)
    pixels = first[:, None] + np.arange((last - first).max())
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    weights = np.clip(overlap, 0.0, 1.0)
    return first, last - first, (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


@njit(cache=True, nogil=True, fastmath=True)
def _average(
    image,
    first_row,
    row_count,
    row_weight,
    first_column,
    column_count,
    column_weight,
    swap,
    small,
    first,
    last,
):
    width = image.shape[1]
    sums = np.empty(width, np.float32)  # the rows under one output row
    for y in range(first, last):
        weight, row = row_weight[y, 0], image[first_row[y]]
        for x in range(width):
            sums[x] = weight * np.float32(row[x])
        for k in range(1, row_count[y]):
            weight, row = row_weight[y, k], image[first_row[y] + k]
            for x in range(width):
                sums[x] += weight * np.float32(row[x])
        for x in range(small.shape[1]):
            a = b = c = np.float32(0.5)  # rounds
            at = 3 * first_column[x]
            for k in range(column_count[x]):
                weight = column_weight[x, k]
                a += weight * sums[at]
                b += weight * sums[at + 1]
                c += weight * sums[at + 2]
                at += 3
            small[y, x, 1] = np.uint8(b)
            small[y, x, 2 if swap else 0] = np.uint8(a)
            small[y, x, 0 if swap else 2] = np.uint8(c)
