# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Estimates the motion between the two frames of a pair with the live pipeline's estimator, even for scenes
with known motion: the network learns to correct its errors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dcfm_ros.motion.flow import DenseInverseSearch, View, flow_map
from dcfm_ros.training.pairs import Pair


def with_motion(pair: Pair, share: float, rng: np.random.Generator) -> Pair:
    """Return the pair with its motion in a `share` of cases, otherwise without motion: the common feature
    then stays in place."""
    first, second = View.of(pair.image), View.of(pair.neighbour)
    if rng.random() >= share:
        return replace(pair, motion=np.zeros((2, *first.picture.shape[:2], 2), np.float32))
    estimator = DenseInverseSearch()
    return replace(
        pair, motion=np.stack([flow_map(estimator, first, second), flow_map(estimator, second, first)])
    )
