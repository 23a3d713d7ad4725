# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The numbers in a backend's feature, for those who compare images by them."""

from __future__ import annotations

from typing import Any

import numpy as np

from dcfm_ros.pipeline.backends.base import Feature


def feature_values(feature: Feature) -> np.ndarray:
    """Return a feature of any backend as (channels, h, w) float32 on the host.

    It may be a view that is valid as long as the feature is referenced.
    """
    if isinstance(feature, np.ndarray):  # OpenVINO's, with channels last
        values = feature[0].transpose(2, 0, 1)
        if values.dtype == np.uint16:  # the upper half of float32
            return (values.astype(np.uint32) << 16).view(np.float32)
        return values
    tensor: Any = getattr(
        feature, "tensor", feature
    )  # on a GPU it comes with an event, which `deep` waits for
    return tensor[0].float().cpu().numpy()
