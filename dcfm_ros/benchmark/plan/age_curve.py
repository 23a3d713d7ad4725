# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an old common feature costs in accuracy: the measured curves of docs/results.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dcfm_ros.model.model_yaml import built_in_name

RATE_HZ = 15.0  # of CamVid val, on which the curves were measured
AGES = (0, 1, 2, 4, 6, 8, 12, 16)  # frames at RATE_HZ
OLDEST_S = AGES[-1] / RATE_HZ  # nothing is known of older features
# mIoU in per cent on CamVid val by AGES, features that move along (docs/results.md, "street11 against
# street11_b0"): `dcfm evaluate CAMVID --modes causal,async --delays 2 --alignments flow --max-age 16`.
CURVES = {
    "street11": (71.9, 71.4, 70.4, 67.9, 65.6, 63.5, 59.7, 56.7),
    "street11_b0": (60.8, 60.9, 60.8, 60.0, 59.1, 57.8, 55.5, 53.7),
}
STANDS_FOR_OTHERS = "street11"  # the steeper curve: other models are expected to lose no more


@dataclass(frozen=True)
class Accuracy:
    """Expected accuracy at some ages of the common feature."""

    miou: float | None  # per cent on CamVid val; None for a model that was not measured
    loss: float  # points of mIoU, against features that are never old
    measured_on: str  # the model whose curve it is; empty where features are never old


def expected_accuracy(model: str, ages_s: Sequence[float], per_frame: bool = False) -> Accuracy:
    """Of masks with common features of these ages, in seconds. A per-frame model has none, so loses
    nothing."""
    if per_frame:
        return Accuracy(None, 0.0, "")
    name = built_in_name(model)
    curve = name if name in CURVES else STANDS_FOR_OTHERS
    fresh, mean = CURVES[curve][0], float(np.mean(miou_at(curve, ages_s)))
    return Accuracy(mean if curve == name else None, fresh - mean, curve)


def miou_at(curve: str, ages_s: Sequence[float]) -> np.ndarray:
    """mIoU by ages in seconds: linear between the curve's points, and the last one's beyond them."""
    return np.interp(np.asarray(ages_s, float) * RATE_HZ, AGES, CURVES[curve])
