# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rigid transforms between frames: rotation and translation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dcfm_ros.points.errors import PointsError

_UNIT = 1e-3  # tolerance of the length of a quaternion


class Transform(NamedTuple):
    """Rigid transform: a point p of the source frame is rotation @ p + translation in the target frame."""

    rotation: np.ndarray  # (3, 3) float64
    translation: np.ndarray  # (3,) float64, metres

    def apply(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return coordinates in the target frame, float64."""
        return tuple(a * x + b * y + c * z + t for (a, b, c), t in zip(self.rotation, self.translation))


def from_quaternion(translation: Sequence[float], quaternion: Sequence[float]) -> Transform:
    """Create a transform. translation: x, y, z in metres; quaternion: x, y, z, w. Raises PointsError if it is
    not a rotation."""
    numbers = np.array([*translation, *quaternion], np.float64)
    length = np.linalg.norm(numbers[3:])
    if not np.isfinite(numbers).all() or abs(length - 1) > _UNIT:
        raise PointsError(
            "transform",
            f"transform {' '.join(f'{number:g}' for number in numbers)} is not a translation x y z and a "
            "unit quaternion x y z w: check its publisher, or the parameter",
        )
    x, y, z, w = numbers[3:] / length
    return Transform(
        np.array(
            [
                [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
                [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
                [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
            ]
        ),
        numbers[:3],
    )


def parse_transform(text: str) -> Transform:
    """Parse "x y z qx qy qz qw". Raises PointsError."""
    try:
        x, y, z, *quaternion = map(float, text.replace(",", " ").split())
        qx, qy, qz, qw = quaternion
    except ValueError:
        raise PointsError(
            "transform", f"transform {text[:80]!r}: give seven numbers, 'x y z qx qy qz qw'"
        ) from None
    return from_quaternion((x, y, z), (qx, qy, qz, qw))
