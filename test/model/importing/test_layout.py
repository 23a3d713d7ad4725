# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which backbone a checkpoint has is told by names and shapes."""

import pytest
import torch

from dcfm_ros.model.build import build_model
from dcfm_ros.model.config import BACKBONES, ClassSpec, ModelConfig
from dcfm_ros.model.importing.checkpoint import CheckpointError
from dcfm_ros.model.importing.layout import Layout, by_prefix, closest_backbone, fill

PLAIN = Layout(by_prefix({"": ""}))  # our own names
ALL = tuple(BACKBONES)


def weightless(backbone, **settings):
    """Names and shapes of a model, without memory behind them."""
    with torch.device("meta"):
        model = build_model(
            ModelConfig(backbone, (ClassSpec("any", (0, 0, 0)),), architecture="per_frame", **settings)
        )
    return model.state_dict()


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ALL)
def test_every_backbone_is_known(backbone):
    for settings in ({}, {"embed": 768}):
        assert closest_backbone(weightless(backbone, **settings), PLAIN, ALL) == backbone


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ("mit_b1", "mit_b3", "pspnet50", "efficientnet_lite3"))
def test_also_where_a_part_is_lost(backbone):
    """So that the error lists what is lost, and not what another backbone would have."""
    tensors = weightless(backbone)
    for name in [name for name in tensors if "2.1." in name][:8]:
        del tensors[name]
    assert closest_backbone(tensors, PLAIN, ALL) == backbone


def test_rows_are_stacked_in_the_order_of_the_names():
    model = torch.nn.Linear(2, 4)
    model.config = ModelConfig("mit_b0", (ClassSpec("any", (0, 0, 0)),))
    layout = Layout(lambda ours: (f"first.{ours}", f"second.{ours}"))
    parts = {
        f"{part}.{name}": torch.full(shape, value)
        for part, value in (("first", 1.0), ("second", 2.0))
        for name, shape in (("weight", (2, 2)), ("bias", (2,)))
    }
    fill(model, parts, layout, "a.pth")
    assert model.bias.tolist() == [1, 1, 2, 2] and model.weight[:, 0].tolist() == [1, 1, 2, 2]


def test_long_lists_are_cut():
    model = build_model(ModelConfig("mit_b0", (ClassSpec("any", (0, 0, 0)),)))
    with pytest.raises(
        CheckpointError, match=r"a.pth does not fit mit_b0: \d+ missing: .* and \d+ more; 1 unexpected"
    ):
        fill(model, {"other": torch.ones(1)}, PLAIN, "a.pth")
