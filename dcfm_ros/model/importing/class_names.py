# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Class tables for checkpoints, which contain names at best."""

from __future__ import annotations

import colorsys
from collections import Counter
from collections.abc import Sequence

from dcfm_ros.model.config import ClassSpec
from dcfm_ros.model.folder import some
from dcfm_ros.model.importing.checkpoint import CheckpointError

GOLDEN_RATIO = 0.618034


def classes_of(names: Sequence[str], where: str) -> tuple[ClassSpec, ...]:
    """Return classes with these names, each as a single line, and distinct colours, most distinct for
    neighbours.

    Raises CheckpointError that says `where` the names are from if some are empty or repeated.
    """
    lines = [
        " ".join("".join(sign if sign.isprintable() else " " for sign in name).split()) for name in names
    ]
    if "" in lines:
        raise CheckpointError(f"{where}: class {lines.index('')} has no name; give --classes")
    if repeated := [repr(name) for name, count in Counter(lines).items() if count > 1]:
        raise CheckpointError(
            f"{where}: class names repeat: {some(repeated)}; give --classes with names that differ"
        )
    return tuple(ClassSpec(name, color(number)) for number, name in enumerate(lines))


def numbered(count: int) -> tuple[ClassSpec, ...]:
    """Return classes of which only the number is known."""
    return tuple(ClassSpec(f"class {number}", color(number)) for number in range(count))


def color(number: int) -> tuple[int, int, int]:
    """Return the RGB colour of a class: hues in steps of the golden ratio stay distinct for long."""
    hue, saturation, value = (
        number * GOLDEN_RATIO % 1.0,
        (0.85, 0.6, 0.4)[number % 3],
        (0.95, 0.7)[number % 2],
    )
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)
