# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Triton kernels for pixels: one pass over the image, one over an aligned feature, one over the mask.

`torch_kernels` has the same functions in PyTorch operations, for systems without Triton.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from dcfm_ros.model.normalisation import Normalisation

CHANNELS = 4  # of the network's input: a pixel is one aligned word, as half-precision convolutions prefer

_VALUES = 1024  # values of the network's input per program
_PIXELS = 128  # pixels of the mask per program
_CELLS = 16  # cells of a feature per program, with all their channels


def normalised_pixels(image: Tensor, dtype: torch.dtype, normalisation: Normalisation) -> Tensor:
    """Normalise an image (H, W, 3) uint8 RGB to (1, CHANNELS, H, W) of that dtype in channels-last layout,
    padded with zeros."""
    height, width, _ = image.shape
    pixels = torch.empty(1, height, width, CHANNELS, dtype=dtype, device=image.device)
    count = pixels.numel()
    means, scales = (
        [255.0 * value for value in normalisation.mean],
        [1.0 / (255.0 * value) for value in normalisation.std],
    )
    _normalise[(triton.cdiv(count, _VALUES),)](image, pixels, count, *means, *scales, CHANNELS, _VALUES)
    return pixels.permute(0, 3, 1, 2)


def aligned(feature: Tensor, motion: Tensor) -> Tensor:
    """Sample a feature (1, C, h, w), fastest with channels last, through motion (h, w, 2) float32, offsets
    (x, y) in cells: see `model.alignment`."""
    _, channels, height, width = feature.shape
    result = torch.empty_like(feature)
    _align[(triton.cdiv(height * width, _CELLS),)](
        feature,
        motion,
        result,
        height,
        width,
        channels,
        *feature.stride()[1:],
        *result.stride()[1:],
        triton.next_power_of_2(channels),
        _CELLS,
    )
    return result


def upsampled_labels(logits: Tensor, size: tuple[int, int], with_confidence: bool) -> Tensor:
    """Convert logits (1, classes, h, w), 255 classes at most, to (1 or 2, H, W) uint8, size = (H, W): the
    winning classes and, if requested, their softmax x 255. Bilinear, align_corners false; of equal classes
    the first wins."""
    logits = logits.contiguous()  # not channels last: neighbouring pixels then read neighbouring values
    _, classes, height, width = logits.shape
    labels = torch.empty(1 + with_confidence, *size, dtype=torch.uint8, device=logits.device)
    _label[(triton.cdiv(size[0] * size[1], _PIXELS),)](
        logits,
        labels,
        height,
        width,
        *size,
        height / size[0],
        width / size[1],
        classes,
        with_confidence,
        _PIXELS,
    )
    return labels


@triton.jit
def _normalise(
    image,
    pixels,
    count,
    mean_r: tl.constexpr,
    mean_g: tl.constexpr,
    mean_b: tl.constexpr,
    scale_r: tl.constexpr,
    scale_g: tl.constexpr,
    scale_b: tl.constexpr,
    CHANNELS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    index = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    channel = index % CHANNELS
    colour = channel < 3
    value = tl.load(image + index // CHANNELS * 3 + channel, mask=(index < count) & colour, other=0).to(
        tl.float32
    )
    mean = tl.where(channel == 0, mean_r, tl.where(channel == 1, mean_g, mean_b))
    scale = tl.where(channel == 0, scale_r, tl.where(channel == 1, scale_g, scale_b))
    value = tl.where(colour, (value - mean) * scale, 0.0)
    tl.store(pixels + index, value.to(pixels.dtype.element_ty), mask=index < count)


@triton.jit
def _align(
    feature,
    motion,
    result,
    height,
    width,
    channels,
    of_channel,
    of_row,
    of_column,
    to_channel,
    to_row,
    to_column,
    CHANNELS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    cell = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = cell < height * width
    y, x = cell // width, cell % width
    column = tl.minimum(tl.maximum(x + tl.load(motion + 2 * cell, mask=inside, other=0.0), 0.0), width - 1.0)
    row = tl.minimum(
        tl.maximum(y + tl.load(motion + 2 * cell + 1, mask=inside, other=0.0), 0.0), height - 1.0
    )
    left, top = column.to(tl.int32), row.to(tl.int32)
    right, bottom = tl.minimum(left + 1, width - 1), tl.minimum(top + 1, height - 1)
    across, down = (column - left.to(tl.float32))[:, None], (row - top.to(tl.float32))[:, None]

    channel = tl.arange(0, CHANNELS)[None, :]
    there = inside[:, None] & (channel < channels)
    source = feature + channel * of_channel
    upper_left = tl.load(source + (top * of_row + left * of_column)[:, None], mask=there, other=0.0).to(
        tl.float32
    )
    upper_right = tl.load(source + (top * of_row + right * of_column)[:, None], mask=there, other=0.0).to(
        tl.float32
    )
    lower_left = tl.load(source + (bottom * of_row + left * of_column)[:, None], mask=there, other=0.0).to(
        tl.float32
    )
    lower_right = tl.load(source + (bottom * of_row + right * of_column)[:, None], mask=there, other=0.0).to(
        tl.float32
    )
    upper = upper_left + across * (upper_right - upper_left)
    lower = lower_left + across * (lower_right - lower_left)
    value = upper + down * (lower - upper)
    place = result + (y * to_row + x * to_column)[:, None] + channel * to_channel
    tl.store(place, value.to(result.dtype.element_ty), mask=there)


@triton.jit
def _label(
    logits,
    labels,
    height,
    width,
    rows,
    columns,
    row_scale,
    column_scale,
    CLASSES: tl.constexpr,
    WITH_CONFIDENCE: tl.constexpr,
    BLOCK: tl.constexpr,
):
    pixel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = pixel < rows * columns
    y, x = pixel // columns, pixel % columns
    source_y = tl.maximum((y.to(tl.float32) + 0.5) * row_scale - 0.5, 0.0)
    source_x = tl.maximum((x.to(tl.float32) + 0.5) * column_scale - 0.5, 0.0)
    top = tl.minimum(source_y.to(tl.int32), height - 1)
    left = tl.minimum(source_x.to(tl.int32), width - 1)
    bottom, right = tl.minimum(top + 1, height - 1), tl.minimum(left + 1, width - 1)
    down, across = source_y - top.to(tl.float32), source_x - left.to(tl.float32)

    # Not tl.zeros: it is a kernel itself, which is not interpreted if Triton was loaded before
    # TRITON_INTERPRET was set.
    best = tl.full([BLOCK], float("-inf"), tl.float32)
    winner = tl.full([BLOCK], 0, tl.int32)
    total = tl.full([BLOCK], 0.0, tl.float32)  # of exp(value - best) over the classes so far
    for c in range(CLASSES):
        upper = logits + (c * height + top) * width
        lower = logits + (c * height + bottom) * width
        upper_left = tl.load(upper + left, mask=inside, other=0.0).to(tl.float32)
        lower_left = tl.load(lower + left, mask=inside, other=0.0).to(tl.float32)
        upper_value = upper_left + across * (
            tl.load(upper + right, mask=inside, other=0.0).to(tl.float32) - upper_left
        )
        lower_value = lower_left + across * (
            tl.load(lower + right, mask=inside, other=0.0).to(tl.float32) - lower_left
        )
        value = upper_value + down * (lower_value - upper_value)
        better = value > best
        if WITH_CONFIDENCE:
            ratio = tl.exp(-tl.abs(value - best))
            total = tl.where(better, total * ratio + 1.0, total + ratio)
        winner = tl.where(better, c, winner)
        best = tl.where(better, value, best)
    tl.store(labels + pixel, winner.to(tl.uint8), mask=inside)
    if WITH_CONFIDENCE:
        tl.store(labels + rows * columns + pixel, (255.0 / total + 0.5).to(tl.uint8), mask=inside)
