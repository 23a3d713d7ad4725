# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The decoder of a model on a CPU as one loop: alignment of the common contribution, fusion, and classes.

As three steps each would write a feature as large as the common contribution and the next would read it:
that takes longer than the arithmetic.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numba.extending import overload

from dcfm_ros.compiled import njit
from dcfm_ros.motion.maps import STILL, on_grid
from dcfm_ros.pipeline.backends.decoder_weights import DecoderWeights
from dcfm_ros.pipeline.parallel_rows import parallel_rows

_ONE, _ZERO = np.float32(1.0), np.float32(0.0)


def fused_logits(
    weights: DecoderWeights, shallow: np.ndarray, common: np.ndarray, motion: np.ndarray | None
) -> np.ndarray:
    """Return logits (h, w, classes) float32.

    shallow: S (h, w, C_s) float32
    common: common contribution (h, w, C), float32 or, as uint16, bfloat16
    motion: the map through which it is sampled, on any grid, bilinearly with replicated border; where there
        is almost none it is taken as it is. None: unaligned
    """
    height, width = common.shape[:2]
    logits = np.empty((height, width, len(weights.classes)), np.float32)
    places = _no_motion(height, width) if motion is None else on_grid(motion, (height, width))
    parallel_rows(
        height,
        lambda first, last: _fused(
            common, places, shallow, weights.shallow, weights.classes, logits, first, last
        ),
    )
    return logits


def compile_loop(common: type) -> None:
    """Compile the loop for common contributions of this type of NumPy."""
    weights = DecoderWeights(np.zeros((4, 4), np.float32), np.zeros((2, 4), np.float32))
    fused_logits(weights, np.zeros((4, 4, 4), np.float32), np.zeros((4, 4, 4), common), None)


def _no_motion(height: int, width: int) -> np.ndarray:
    return np.broadcast_to(np.zeros(2, np.float32), (height, width, 2)).copy()


def _number(stored):
    """Return a stored value as float32: bfloat16 is the upper half of its bits. For compiled code."""
    raise NotImplementedError


@overload(_number)
def _number_of(stored):
    if isinstance(stored, types.Integer):
        return lambda stored: np.uint32(np.uint32(stored) << np.uint32(16)).view(np.float32)
    return lambda stored: stored


@njit(cache=True, nogil=True, fastmath=True)
def _fused(common, motion, shallow, shallow_weights, class_weights, logits, first, last):
    """Compute rows first..last-1."""
    height, width, channels = common.shape
    used, in_fours = shallow_weights.shape[0], shallow_weights.shape[0] // 4 * 4
    fused = np.empty(channels, np.float32)
    for y in range(first, last):
        for x in range(width):
            across, down = motion[y, x, 0], motion[y, x, 1]
            if abs(across) < STILL and abs(down) < STILL:
                for k in range(channels):
                    fused[k] = _number(common[y, x, k])
            else:
                column = min(max(np.float32(x) + across, _ZERO), np.float32(width - 1))
                row = min(max(np.float32(y) + down, _ZERO), np.float32(height - 1))
                left, top = int(column), int(row)
                right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
                fx, fy = column - np.float32(left), row - np.float32(top)
                a, b = (_ONE - fx) * (_ONE - fy), fx * (_ONE - fy)
                c, d = (_ONE - fx) * fy, fx * fy
                for k in range(channels):
                    fused[k] = (
                        a * _number(common[top, left, k])
                        + b * _number(common[top, right, k])
                        + c * _number(common[bottom, left, k])
                        + d * _number(common[bottom, right, k])
                    )
            squares = _ZERO
            for k in range(shallow.shape[2]):
                squares += shallow[y, x, k] * shallow[y, x, k]
            scale = _ONE / max(np.sqrt(squares), np.float32(1e-12))
            for i in range(0, in_fours, 4):  # `fused` is read and written once for four channels
                p, q = scale * shallow[y, x, i], scale * shallow[y, x, i + 1]
                r, s = scale * shallow[y, x, i + 2], scale * shallow[y, x, i + 3]
                for k in range(channels):
                    fused[k] += (
                        p * shallow_weights[i, k]
                        + q * shallow_weights[i + 1, k]
                        + r * shallow_weights[i + 2, k]
                        + s * shallow_weights[i + 3, k]
                    )
            for i in range(in_fours, used):
                p = scale * shallow[y, x, i]
                for k in range(channels):
                    fused[k] += p * shallow_weights[i, k]
            squares = _ZERO
            for k in range(channels):
                value = max(fused[k], _ZERO)
                fused[k] = value
                squares += value * value
            scale = _ONE / max(np.sqrt(squares), np.float32(1e-12))
            classes = class_weights.shape[0]
            for j in range(0, classes // 4 * 4, 4):  # `fused` is read once for four classes
                p = q = r = s = _ZERO
                for k in range(channels):
                    value = fused[k]
                    p += value * class_weights[j, k]
                    q += value * class_weights[j + 1, k]
                    r += value * class_weights[j + 2, k]
                    s += value * class_weights[j + 3, k]
                logits[y, x, j], logits[y, x, j + 1] = scale * p, scale * q
                logits[y, x, j + 2], logits[y, x, j + 3] = scale * r, scale * s
            for j in range(classes // 4 * 4, classes):
                p = _ZERO
                for k in range(channels):
                    p += fused[k] * class_weights[j, k]
                logits[y, x, j] = scale * p
