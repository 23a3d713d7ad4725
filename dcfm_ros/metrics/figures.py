# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Figures as reports hold them: rounded, and None where there is nothing to tell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def rounded(value: float) -> float | None:
    """Six decimals; None for nan, which JSON does not have."""
    return None if np.isnan(value) else round(float(value), 6)


def percentiles(values: Sequence[float], shares: Sequence[int] = (50, 99)) -> dict[str, float | None]:
    """By name, as in p50, two decimals; None without any values."""
    return {
        f"p{share}": round(float(np.percentile(values, share)), 2) if values else None for share in shares
    }
