# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rate limit: admitted images, by their stamps."""

import numpy as np
import pytest

from dcfm_ros.ros.admission import RateLimit


def admitted(stamps_s, max_rate):
    limit = RateLimit()
    return [stamp for stamp in stamps_s if limit.admits(int(1e9 * stamp), max_rate)]


@pytest.mark.parametrize(
    "camera_hz, max_rate, expected",
    [(30, 10, 100), (30, 12, 120), (30, 30, 300), (30, 40, 300), (30, 0, 300), (25, 7, 70)],
)
def test_the_rate_is_kept_on_average(camera_hz, max_rate, expected):
    stamps = np.arange(10 * camera_hz) / camera_hz + np.random.default_rng(0).uniform(
        -0.002, 0.002, 10 * camera_hz
    )
    assert abs(len(admitted(stamps, max_rate)) - expected) <= 1


def test_no_burst_follows_a_gap():
    assert admitted([0, 5.0, 5.03, 5.06, 5.08, 5.12], 10) == [0, 5.0, 5.12]


def test_stamps_that_jump_back_begin_anew():
    assert admitted([100.0, 100.05, 3.0, 3.05, 3.1], 10) == [100.0, 3.0, 3.1]
