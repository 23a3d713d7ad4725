# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Shapes become label pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from dcfm_ros.data_import.errors import DataImportError, cause_of
from dcfm_ros.data_import.export import LabelledImage, Shape

_FAR = 1e6  # pixels; points so far outside of an image are a mistake


def paint(image: LabelledImage, size: tuple[int, int], ids: Mapping[str, int], fill: int) -> np.ndarray:
    """Return (H, W) uint8: the class ids of an image's shapes, higher z-orders above lower ones, later shapes
    above earlier ones.

    size: (height, width)
    ids: class id by label
    fill: value of pixels without a shape
    """
    label = np.full(size, fill, np.uint8)
    for shape in sorted(image.shapes, key=lambda shape: shape.z_order):  # stable
        value = ids[shape.label]
        if shape.mask is None:
            if any(not (np.abs(ring) < _FAR).all() for ring in shape.rings):  # not a number, too
                raise DataImportError(
                    f"the outline of {shape.label} in {image.name} has points that lie nowhere: draw it again"
                )
            fill_polygon(label, shape.rings, value)
            continue
        mask = _read(shape, image)
        if mask.shape != size:
            height, width = mask.shape
            raise DataImportError(
                f"the mask of {shape.label} in {image.name} is {width}x{height}, but the image "
                f"{size[1]}x{size[0]}: give the images that were labelled (--images FOLDER)"
            )
        label[mask.astype(bool)] = value
    return label


def _read(shape: Shape, image: LabelledImage) -> np.ndarray:
    assert shape.mask is not None
    try:
        mask = np.asarray(shape.mask())
        if mask.ndim != 2:
            raise ValueError(f"it has {mask.ndim} dimensions")
        return mask
    except Exception as error:  # whatever a library raises on damaged data
        raise DataImportError(
            f"the mask of {shape.label} in {image.name} cannot be read ({cause_of(error)}): export it again"
        ) from error


def fill_polygon(label: np.ndarray, rings: Sequence[np.ndarray], value: int) -> None:
    """Set the pixels whose centres lie inside, by the even-odd rule: a ring within another one is a hole.

    rings: (N, 2) x and y in pixels; the upper left pixel reaches from 0 to 1
    """
    height, width = label.shape
    starts = np.concatenate([np.asarray(ring, float) for ring in rings])
    ends = np.concatenate([np.roll(np.asarray(ring, float), -1, axis=0) for ring in rings])
    upward = starts[:, 1] > ends[:, 1]
    starts[upward], ends[upward] = ends[upward], starts[upward]
    # Rows whose centres the edge crosses: from `first` on, before `last`.
    first = np.ceil(np.clip(starts[:, 1], 0, height) - 0.5).astype(int)
    last = np.ceil(np.clip(ends[:, 1], 0, height) - 0.5).astype(int)
    counts = last - first
    if not counts.any():
        return
    edge = np.repeat(np.arange(len(counts)), counts)
    row = first[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts)
    (x, y), (to_x, to_y) = starts[edge].T, ends[edge].T
    crossing = x + (row + 0.5 - y) * (to_x - x) / (to_y - y)
    column = np.ceil(np.clip(crossing, 0, width) - 0.5).astype(int)  # from here on the other side
    top, left, right = row.min(), column.min(), column.max()
    flips = np.zeros((row.max() + 1 - top, right + 1 - left), np.uint8)
    np.add.at(flips, (row - top, column - left), 1)
    inside = np.bitwise_xor.accumulate(flips & 1, axis=1)[:, :-1].astype(bool)
    label[top : top + len(inside), left:right][inside] = value
