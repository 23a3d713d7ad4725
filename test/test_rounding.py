# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Numbers of reports are valid JSON, whatever was measured."""

import json

import numpy as np
import pytest

from dcfm_ros.rounding import percentiles, rounded


@pytest.mark.parametrize("value", [None, float("nan"), np.float32("nan"), float("inf"), -np.inf])
def test_what_json_does_not_have_is_none(value):
    assert rounded(value) is None


def test_values_are_rounded_and_plain():
    assert (
        json.dumps([rounded(np.float64(1 / 3)), rounded(np.float32(0.5), 4), rounded(7)])
        == "[0.333333, 0.5, 7.0]"
    )


@pytest.mark.parametrize("kind", [list, np.array])
def test_percentiles(kind):
    assert percentiles(kind(range(101))) == {"p50": 50.0, "p99": 99.0}
    assert percentiles(kind([]), (50, 95)) == {"p50": None, "p95": None}
