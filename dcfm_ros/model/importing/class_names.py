# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Class tables for checkpoints, which bring names at best."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

from dcfm_ros.model.config import ClassSpec

GOLDEN_RATIO = 0.618034


def classes_of(names: Sequence[str]) -> tuple[ClassSpec, ...]:
    """The names with colours that all differ, neighbours most."""
    return tuple(ClassSpec(name, color(number)) for number, name in enumerate(names))


def numbered(count: int) -> tuple[ClassSpec, ...]:
    """Classes of which nothing is known but how many they are."""
    return classes_of([f"class {number}" for number in range(count)])


def color(number: int) -> tuple[int, int, int]:
    """RGB colour of a class: hues in steps of the golden ratio never come near one another soon."""
    hue, saturation, value = number * GOLDEN_RATIO % 1.0, (0.85, 0.6, 0.4)[number % 3], (0.95, 0.7)[number % 2]
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)
