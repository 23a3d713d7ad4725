# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Upsample-and-argmax: low-resolution logits straight to the mask at camera size.

Between four neighbouring logit positions every pixel is a convex combination of the four corners. So where
the corners agree on the winning class, all pixels between them have that class; elsewhere only those classes
can win whose maximum over the corners reaches the greatest of all classes' minima: a handful of many. Only
these are interpolated, and logits at full resolution never exist. The interpolation is bilinear with
align_corners false, like PyTorch's `interpolate`; of equal classes the first wins.
"""

from __future__ import annotations

import numpy as np

from dcfm_ros.compiled import njit
from dcfm_ros.pipeline.parallel_rows import parallel_rows


def upsampled_argmax(logits: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Convert logits (classes, h, w) float32 to class ids (H, W) uint8, size = (H, W). Fastest if classes are
    last in memory."""
    mask = np.empty(size, np.uint8)
    cells, rows, columns = (
        _cells(logits),
        _positions(logits.shape[1], size[0]),
        _positions(logits.shape[2], size[1]),
    )
    winners = np.empty(cells.shape[:2], np.uint8)
    parallel_rows(cells.shape[0], lambda first, last: _win(cells, winners, first, last))
    first_row, first_column = (
        _first_pixels(rows[0], cells.shape[0]),
        _first_pixels(columns[0], cells.shape[1]),
    )
    parallel_rows(
        cells.shape[0],
        lambda first, last: _fill(
            cells, winners, first_row, rows[2], first_column, columns[2], mask, first, last
        ),
    )
    return mask


def upsampled_argmax_confidence(
    logits: np.ndarray, size: tuple[int, int], groups: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Same as `upsampled_argmax`, plus the winning class's softmax x 255 as (H, W) uint8. Evaluates every
    pixel.

    groups: (classes,) int64, a group number for each class: the softmax is summed over the winner's group
    """
    mask, confidence = np.empty(size, np.uint8), np.empty(size, np.uint8)
    cells, rows, columns = (
        _cells(logits),
        _positions(logits.shape[1], size[0]),
        _positions(logits.shape[2], size[1]),
    )
    groups = np.arange(logits.shape[0]) if groups is None else groups
    parallel_rows(
        size[0],
        lambda first, last: _fill_confidence(cells, groups, *rows, *columns, mask, confidence, first, last),
    )
    return mask, confidence


def upsampled_probabilities(
    logits: np.ndarray, size: tuple[int, int], groups: np.ndarray, count: int, dtype: type
) -> np.ndarray:
    """Return the softmax of every class, summed by groups: (H, W, count) float32, or x 255 as uint8.

    groups: (classes,) int64, for each class the channel 0..count-1 that it is added to, or -1 for none
    """
    probabilities: np.ndarray = np.empty((*size, count), dtype)
    scale, rest = (255.0, 0.5) if dtype is np.uint8 else (1.0, 0.0)
    cells, rows, columns = (
        _cells(logits),
        _positions(logits.shape[1], size[0]),
        _positions(logits.shape[2], size[1]),
    )
    parallel_rows(
        size[0],
        lambda first, last: _fill_probabilities(
            cells, groups, *rows, *columns, np.float32(scale), np.float32(rest), probabilities, first, last
        ),
    )
    return probabilities


def _cells(logits: np.ndarray) -> np.ndarray:
    """Return logits as (h, w, classes), contiguous."""
    return np.ascontiguousarray(logits.transpose(1, 2, 0))


def _first_pixels(low: np.ndarray, small: int) -> np.ndarray:
    """Return (small + 1,): the first output pixel of each cell (cells begin at source positions 0, 1, ...),
    and finally the number of output pixels."""
    return np.searchsorted(low, np.arange(small + 1)).astype(np.int64)


def _positions(small: int, large: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return, for each output pixel along one axis, the two source positions and the weight of the second."""
    source = np.maximum((np.arange(large, dtype=np.float32) + 0.5) * np.float32(small / large) - 0.5, 0.0)
    low = np.minimum(source.astype(np.int32), small - 1)
    high = np.minimum(low + 1, small - 1)
    return low, high.astype(np.int32), (source - low).astype(np.float32)


@njit(cache=True, nogil=True, fastmath=True)
def _win(cells, winners, first, last):
    """Compute the winning class of each position in rows first..last-1."""
    for y in range(first, last):
        for x in range(cells.shape[1]):
            values = cells[y, x]
            best, best_value = 0, values[0]
            for c in range(1, values.shape[0]):
                if values[c] > best_value:
                    best, best_value = c, values[c]
            winners[y, x] = best


@njit(cache=True, nogil=True, fastmath=True)
def _fill(cells, winners, first_row, down, first_column, across, mask, first, last):
    """Fill the mask between positions, cell by cell; cells begin in rows first..last-1."""
    height, width, classes = cells.shape
    greatest = np.empty(classes, np.float32)
    candidates = np.empty(classes, np.int64)  # classes that can win somewhere in the cell
    left, right = np.empty(classes, np.float32), np.empty(classes, np.float32)
    for y0 in range(first, last):
        y1 = min(y0 + 1, height - 1)
        for x0 in range(width):
            top, bottom = first_row[y0], first_row[y0 + 1]
            begin, end = first_column[x0], first_column[x0 + 1]
            x1 = min(x0 + 1, width - 1)
            winner = winners[y0, x0]
            if winner == winners[y0, x1] and winner == winners[y1, x0] and winner == winners[y1, x1]:
                for y in range(top, bottom):
                    for x in range(begin, end):
                        mask[y, x] = winner
                continue
            a, b, d, e = cells[y0, x0], cells[y0, x1], cells[y1, x0], cells[y1, x1]
            bound = np.float32(-np.inf)
            for c in range(classes):
                greatest[c] = max(max(a[c], b[c]), max(d[c], e[c]))
                bound = max(bound, min(min(a[c], b[c]), min(d[c], e[c])))
            count = 0
            for c in range(classes):
                if greatest[c] >= bound:
                    candidates[count] = c
                    count += 1
            for y in range(top, bottom):
                fy = down[y]
                for k in range(count):
                    c = candidates[k]
                    left[k] = a[c] + fy * (d[c] - a[c])
                    right[k] = b[c] + fy * (e[c] - b[c])
                for x in range(begin, end):
                    fx = across[x]
                    best, best_value = 0, left[0] + fx * (right[0] - left[0])
                    for k in range(1, count):
                        value = left[k] + fx * (right[k] - left[k])
                        if value > best_value:
                            best, best_value = k, value
                    mask[y, x] = candidates[best]


@njit(cache=True, nogil=True, fastmath=True)
def _fill_confidence(cells, groups, top, bottom, down, left, right, across, mask, confidence, first, last):
    width = mask.shape[1]
    classes = cells.shape[2]
    values = np.empty(classes, np.float32)
    for y in range(first, last):
        y0, y1, fy = top[y], bottom[y], down[y]
        for x in range(width):
            x0, x1, fx = left[x], right[x], across[x]
            best = 0
            for c in range(classes):
                upper = cells[y0, x0, c] + fx * (cells[y0, x1, c] - cells[y0, x0, c])
                lower = cells[y1, x0, c] + fx * (cells[y1, x1, c] - cells[y1, x0, c])
                values[c] = upper + fy * (lower - upper)
                if values[c] > values[best]:
                    best = c
            total, own = np.float32(0.0), np.float32(0.0)
            for c in range(classes):
                share = np.exp(values[c] - values[best])
                total += share
                if groups[c] == groups[best]:
                    own += share
            mask[y, x] = best
            confidence[y, x] = np.uint8(np.float32(255.0) * own / total + np.float32(0.5))


@njit(cache=True, nogil=True, fastmath=True)
def _fill_probabilities(
    cells, groups, top, bottom, down, left, right, across, scale, rest, probabilities, first, last
):
    classes, count = cells.shape[2], probabilities.shape[2]
    values = np.empty(classes, np.float32)
    sums = np.empty(count, np.float32)
    for y in range(first, last):
        y0, y1, fy = top[y], bottom[y], down[y]
        for x in range(probabilities.shape[1]):
            x0, x1, fx = left[x], right[x], across[x]
            for c in range(classes):
                upper = cells[y0, x0, c] + fx * (cells[y0, x1, c] - cells[y0, x0, c])
                lower = cells[y1, x0, c] + fx * (cells[y1, x1, c] - cells[y1, x0, c])
                values[c] = upper + fy * (lower - upper)
            greatest, total = values.max(), np.float32(0.0)
            for g in range(count):
                sums[g] = np.float32(0.0)
            for c in range(classes):
                share = np.exp(values[c] - greatest)
                total += share
                if groups[c] >= 0:
                    sums[groups[c]] += share
            for g in range(count):
                probabilities[y, x, g] = scale * sums[g] / total + rest
