# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The weights of a decoder without hidden layer, as arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class DecoderWeights(NamedTuple):
    """Of `dcfm_ros.model.inference.Decoder`, all float32."""

    shallow: np.ndarray  # (used shallow channels, common channels)
    classes: np.ndarray  # (classes, common channels)
