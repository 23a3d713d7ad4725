# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What readers of exports return: labelled images with their shapes, by names of classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

Colour = tuple[int, int, int]  # RGB


@dataclass(frozen=True)
class Shape:
    """A region of one class: a polygon, or a mask.

    rings: polygons, (N, 2) x and y in pixels, of which the even-odd rule makes one region
    mask: gives (H, W) bool of the whole image; None for polygons
    """

    label: str
    rings: tuple[np.ndarray, ...] = ()
    mask: Callable[[], np.ndarray] | None = None
    z_order: int = 0  # higher ones lie above lower ones


@dataclass(frozen=True)
class LabelledImage:
    """An image of an export. Shapes are in the order of the file: later ones lie above earlier ones."""

    name: str  # with folders, as the export calls it; with forward slashes, with or without ending
    size: tuple[int, int] | None  # (height, width), where the export says it
    shapes: tuple[Shape, ...]
    subset: str = ""  # such as train, where the export has subsets


@dataclass(frozen=True)
class Export:
    """Content of an export."""

    source: str  # the path that was given, for messages
    format: str
    classes: tuple[tuple[str, Colour | None], ...]  # in the export's order
    images: tuple[LabelledImage, ...]
    unlabelled: frozenset[str] = frozenset()  # classes by which the format means: no class
    left_out: Counter[str] = field(default_factory=Counter)  # what is no region, by kind, as in {"box": 3}
    places: tuple[Path, ...] = ()  # image files, and folders in which its images may lie
    not_images: frozenset[str] = frozenset()  # names of folders in there that hold labels

    def drawn(self, image: LabelledImage) -> bool:
        """Return whether somebody drew something in one of its images."""
        return any(shape.label not in self.unlabelled for shape in image.shapes)


def sources_of(exports: Sequence[Export]) -> str:
    """Return the names of exports, for messages."""
    names = [export.source for export in exports]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
