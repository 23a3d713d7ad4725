# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Numbers of JSON reports: rounded, and None where there is no value."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def rounded(value: float | None, decimals: int = 6) -> float | None:
    """None for None, NaN and infinity, which JSON does not have."""
    return None if value is None or not math.isfinite(value) else round(float(value), decimals)


def percentiles(
    values: Sequence[float] | np.ndarray, shares: Sequence[int] = (50, 99), decimals: int = 2
) -> dict[str, float | None]:
    """Percentiles by name, as in p50; None without any values."""
    return {
        f"p{share}": rounded(float(np.percentile(values, share)), decimals) if len(values) else None
        for share in shares
    }
