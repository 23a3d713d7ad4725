# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Access to the rows of an image or a cloud, which may be padded, as one array."""

from __future__ import annotations

from typing import Any

import numpy as np

from dcfm_ros.points.errors import PointsError


def rows_of(message: Any, kind: np.dtype, step: int, what: str, step_name: str, a_row: str) -> np.ndarray:
    """Return an array (height, width) of `kind`, a view of the message's data. Raises PointsError if step or
    data are too short.

    step: bytes from one row to the next
    what, step_name, a_row: names of the message, of the step field, and of a row's contents, for errors
    """
    width, height = message.width, message.height
    if step < width * kind.itemsize:
        raise PointsError(
            "data",
            f"{what} has {step_name} {step}, but {a_row} {width * kind.itemsize} bytes: its publisher must "
            f"set {step_name} to the bytes per row",
        )
    if len(message.data) < height * step:
        raise PointsError(
            "data",
            f"{what} has {len(message.data)} bytes of data, but height × {step_name} is {height * step}: its "
            f"publisher sent a part of it, or a wrong {step_name} or height",
        )
    return np.ndarray((height, width), kind, message.data, strides=(step, kind.itemsize))
