"""Upsample-and-argmax: low-resolution logits straight to the mask at camera size.

Between four neighbouring logit positions every pixel is a convex combination of the four corners: where these agree on
their winning class, all pixels between them have it, and only cells on class borders are evaluated. Logits at full
resolution never exist. Bilinear, align_corners false, as PyTorch's `interpolate`.
"""

from __future__ import annotations

import numba
import numpy as np


def upsampled_argmax(logits: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """logits (classes, h, w) float32 to class ids (H, W) uint8, size = (H, W)."""
    mask = np.empty(size, np.uint8)
    rows, columns = _positions(logits.shape[1], size[0]), _positions(logits.shape[2], size[1])
    cells = np.ascontiguousarray(logits.transpose(1, 2, 0))  # classes of one position side by side
    _fill(cells, _winners(cells), *rows, *columns, mask)
    return mask


def upsampled_argmax_confidence(logits: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """As `upsampled_argmax`, and the winning class's softmax x 255 as (H, W) uint8. Every pixel is evaluated."""
    mask, confidence = np.empty(size, np.uint8), np.empty(size, np.uint8)
    rows, columns = _positions(logits.shape[1], size[0]), _positions(logits.shape[2], size[1])
    _fill_confidence(np.ascontiguousarray(logits.transpose(1, 2, 0)), *rows, *columns, mask, confidence)
    return mask, confidence


def _positions(small: int, large: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each output pixel along one axis: the two source positions and the weight of the second."""
    source = np.maximum((np.arange(large, dtype=np.float32) + 0.5) * np.float32(small / large) - 0.5, 0.0)
    low = np.minimum(source.astype(np.int32), small - 1)
    high = np.minimum(low + 1, small - 1)
    return low, high.astype(np.int32), (source - low).astype(np.float32)


@numba.njit(cache=True, nogil=True, fastmath=True)
def _winners(cells):
    height, width, classes = cells.shape
    winners = np.empty((height, width), np.uint8)
    for y in range(height):
        for x in range(width):
            best = 0
            for c in range(1, classes):
                if cells[y, x, c] > cells[y, x, best]:
                    best = c
            winners[y, x] = best
    return winners


@numba.njit(cache=True, nogil=True, fastmath=True)
def _fill(cells, winners, top, bottom, down, left, right, across, mask):
    height, width = mask.shape
    classes = cells.shape[2]
    blended = np.empty((cells.shape[1], classes), np.float32)  # one output row, vertically interpolated
    known = np.empty(cells.shape[1], np.int64)                 # the output row each column was blended for
    known[:] = -1
    for y in range(height):
        y0, y1, fy = top[y], bottom[y], down[y]
        for x in range(width):
            x0, x1 = left[x], right[x]
            first = winners[y0, x0]
            if first == winners[y0, x1] and first == winners[y1, x0] and first == winners[y1, x1]:
                mask[y, x] = first
                continue
            if known[x0] != y:
                for c in range(classes):
                    blended[x0, c] = cells[y0, x0, c] + fy * (cells[y1, x0, c] - cells[y0, x0, c])
                known[x0] = y
            if known[x1] != y:
                for c in range(classes):
                    blended[x1, c] = cells[y0, x1, c] + fy * (cells[y1, x1, c] - cells[y0, x1, c])
                known[x1] = y
            fx = across[x]
            best, best_value = 0, blended[x0, 0] + fx * (blended[x1, 0] - blended[x0, 0])
            for c in range(1, classes):
                value = blended[x0, c] + fx * (blended[x1, c] - blended[x0, c])
                if value > best_value:
                    best, best_value = c, value
            mask[y, x] = best


@numba.njit(cache=True, nogil=True, fastmath=True)
def _fill_confidence(cells, top, bottom, down, left, right, across, mask, confidence):
    height, width = mask.shape
    classes = cells.shape[2]
    values = np.empty(classes, np.float32)
    for y in range(height):
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
            total = np.float32(0.0)
            for c in range(classes):
                total += np.exp(values[c] - values[best])
            mask[y, x] = best
            confidence[y, x] = np.uint8(np.float32(255.0) / total + np.float32(0.5))
