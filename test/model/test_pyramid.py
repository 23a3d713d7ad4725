# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pyramid pooling against its formula."""

import pytest
import torch
import torch.nn.functional as F

from dcfm_ros.model.pyramid import LastStage, PyramidPooling


@pytest.fixture
def pooling():
    torch.manual_seed(1)
    pooling = PyramidPooling(8).double().eval()
    for level in pooling.features:
        torch.nn.init.uniform_(level[2].running_mean, -0.5, 0.5)
        torch.nn.init.uniform_(level[2].running_var, 0.5, 2.0)
    return pooling


@pytest.fixture
def stages():
    torch.manual_seed(2)
    return [torch.randn(2, width, 7, 12, dtype=torch.float64) for width in (2, 4, 8)]


def test_the_last_stage_beside_its_averages(pooling, stages):
    """Bins 1, 2, 3, 6, each to a quarter of the width, brought back with corners aligned."""
    with torch.inference_mode():
        deep = pooling(stages)
        expected = [stages[-1]]
        for count, (_, conv, norm, _) in zip((1, 2, 3, 6), pooling.features, strict=True):
            level = norm(conv(F.adaptive_avg_pool2d(stages[-1], count))).clamp_min(0)
            assert level.shape == (2, 2, count, count)
            expected.append(F.interpolate(level, size=(7, 12), mode="bilinear", align_corners=True))
    assert deep.shape == (2, 16, 7, 12)
    torch.testing.assert_close(deep, torch.cat(expected, 1))
    # Aligned corners: those of the second level, 2x2, are its values.
    torch.testing.assert_close(deep[:, 10:12, ::6, ::11], pooling.features[1](stages[-1]))


def test_there_is_one_order_of_operations(pooling, stages):
    with torch.inference_mode():
        assert torch.equal(pooling(stages, published_order=True), pooling(stages))


def test_a_feature_smaller_than_six_by_six(pooling):
    with torch.inference_mode():
        assert pooling([torch.randn(1, 8, 4, 5, dtype=torch.float64)]).shape == (1, 16, 4, 5)


def test_without_pooling_the_last_stage_is_the_deep_feature(stages):
    assert LastStage()(stages) is stages[-1] and LastStage()(stages, published_order=True) is stages[-1]
    assert LastStage().folded_form()(*stages) is stages[-1]


def test_the_form_for_running_is_a_copy(pooling, stages):
    running = pooling.folded_form()
    with torch.inference_mode():
        expected = pooling(stages)
        assert torch.equal(running(*stages), expected)
        for parameter in running.parameters():
            parameter.zero_()
        assert torch.equal(pooling(stages), expected)
