# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Slices of the deep path: together they compute what it computes, and none is long."""

import math

import pytest
import torch
from helpers import one_thread, tiny_model  # noqa: F401

from dcfm_ros.model.cost import counted
from dcfm_ros.model.inference import fold
from dcfm_ros.pipeline.backends.openvino.slices import SHARE, Band, plan

pytestmark = pytest.mark.usefixtures("one_thread")


def image(height=64, width=96):
    generator = torch.Generator().manual_seed(3)
    return torch.randint(0, 256, (1, height, width, 3), dtype=torch.uint8, generator=generator)


def rows_of(outputs, band):
    """Return a band's inputs, channels last."""
    return [output.permute(0, 2, 3, 1)[:, slice(*rows)] for output, rows in zip(outputs, band.input_rows)]


@torch.no_grad()
def contribution(planned):
    return torch.cat([band(*rows_of(planned.outputs, band)) for band in planned.bands], dim=1).permute(
        0, 3, 1, 2
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [{}, {"common_width": 24}, {"architecture": "per_frame"}, {"fusion": "relu"}],
    ids=["plain", "bottleneck", "per frame", "activated"],
)
@pytest.mark.parametrize("size", [(64, 96), (90, 70)])
@pytest.mark.parametrize("share", [0.02, 0.1, 0.4])
def test_bands_together_are_the_contribution(changes, size, share):
    """Also where heights are no multiples of each other, and a band needs a single row of the coarsest
    feature."""
    parts = fold(tiny_model(**changes))
    planned = plan(parts, image(*size), share)
    assert len(planned.bands) > 1
    assert [band.rows[0] for band in planned.bands[1:]] == [band.rows[1] for band in planned.bands[:-1]]
    found = contribution(planned)
    assert found.shape == planned.common.shape
    assert (found - planned.common).abs().max() <= 1e-5 * planned.common.abs().max().clamp_min(1.0)


@torch.no_grad()
def test_slices_in_their_order_are_the_stages():
    parts = fold(tiny_model())
    planned = plan(parts, image(), 0.4)
    assert sum(map(len, planned.stages)) > 4
    feature = planned.shallow
    for slices, stage, wanted in zip(planned.stages, parts.deep.stages, planned.outputs):
        assert [step for part in slices for step in part.module] == list(stage)
        for part in slices:
            assert torch.equal(part.feature, feature)
            feature = part.module(feature)
        assert torch.equal(feature, wanted)
    assert torch.allclose(planned.common, parts.deep(planned.shallow), atol=1e-6)


@pytest.mark.slow
@torch.no_grad()
@pytest.mark.parametrize("backbone", ["mit_b0", "mit_b1"])
def test_no_slice_has_more_layers_than_a_frame(backbone):
    parts = fold(tiny_model(backbone=backbone))
    pixels = image(352, 480)
    planned = plan(parts, pixels)
    frame = counted(parts.shallow, pixels)[0] + counted(parts.decoder, planned.shallow, planned.common)[0]
    for stage in planned.stages:
        for part in stage:
            cost = counted(part.module, part.feature)[0]
            assert (
                cost.layers + 3 * cost.attention <= SHARE * (frame.layers + 3 * frame.attention)
                or len(part.module) == 1
            )
    assert any(len(part.module) > 1 for stage in planned.stages for part in stage)  # as few as may be
    for band in planned.bands:
        cost = counted(band, *rows_of(planned.outputs, band))[0]
        assert cost.layers <= frame.layers + 3 * frame.attention


def test_without_a_bound_stages_are_one_slice_each():
    planned = plan(fold(tiny_model()), image(), math.inf)
    assert [len(stage) for stage in planned.stages] == [1, 1, 1, 1] and planned.bands == []


def test_other_backbones_have_no_bands():
    planned = plan(fold(tiny_model(backbone="resnet18")), image(), 0.01)
    assert planned.bands == [] and [len(stage) for stage in planned.stages] == [2, 2, 2]


def test_a_band_knows_the_rows_it_needs():
    band = Band(fold(tiny_model()).deep, [16, 8, 4, 2], (4, 8))
    assert band.input_rows == [(4, 8), (1, 5), (0, 3), (0, 2)]
