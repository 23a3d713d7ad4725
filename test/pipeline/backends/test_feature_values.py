# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A feature's numbers are the same whichever backend made it."""

import numpy as np
import pytest
from helpers import tiny_model

from dcfm_ros.pipeline.backends import make_backend
from dcfm_ros.pipeline.backends.feature_values import feature_values


@pytest.mark.slow
def test_layouts_of_backends():
    pytest.importorskip("openvino")
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    found = []
    for name in ("torch", "openvino"):
        backend = make_backend(name, tiny_model(), device="cpu", precision="f32")
        found.append(feature_values(backend.deep(backend.shallow(image))).copy())
    channels, *grid = found[0].shape
    assert grid == [16, 24] and channels > 24
    np.testing.assert_allclose(found[1], found[0], atol=1e-4)
