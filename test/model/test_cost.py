# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Counting multiply-accumulates: against formulas, and against PyTorch's own counter."""

import pytest
import torch
import torch.nn.functional as F
from helpers import tiny_config
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from dcfm_ros.model.build import build_model
from dcfm_ros.model.cost import Cost, counted
from dcfm_ros.model.inference import fold
from dcfm_ros.model.mit import Attention


def test_layers_are_multiply_accumulates_and_extras_are_the_papers():
    image = torch.empty(2, 6, 10, 12, device="meta")
    cases = [
        (nn.Conv2d(6, 8, 3, padding=1), image, Cost(layers=2 * 8 * 120 * 6 * 9, extras=2 * 8 * 120)),
        (nn.Conv2d(6, 8, 3, stride=2, bias=False), image, Cost(layers=2 * 8 * 4 * 5 * 6 * 9)),
        (nn.Conv2d(6, 6, 3, padding=1, groups=6, bias=False), image, Cost(layers=2 * 6 * 120 * 9)),
        (nn.Linear(12, 5), image, Cost(layers=2 * 6 * 10 * 5 * 12, extras=2 * 6 * 10 * 5)),
        (nn.BatchNorm2d(6).eval(), image, Cost(extras=2 * image.numel())),
        (nn.ReLU(), image, Cost(extras=image.numel())),
        (nn.LayerNorm(12), image, Cost()),
        (lambda x: F.gelu(F.interpolate(x, size=(20, 24), mode="bilinear").softmax(1)), image, Cost()),
    ]
    for run, given, expected in cases:
        cost, result = counted(run.to("meta") if isinstance(run, nn.Module) else run, given)
        assert cost == expected and isinstance(result, torch.Tensor)


def test_attention_is_kept_apart():
    """12 x 20 tokens, keys and values reduced 4 times in each direction."""
    attention = Attention(32, heads=2, reduction=4, norm_eps=1e-5).to("meta")
    cost, _ = counted(lambda tokens: attention(tokens, (12, 20)), torch.empty(1, 240, 32, device="meta"))
    assert cost.attention == 2 * 240 * 15 * 32
    assert cost.layers == 240 * 32 * 32 + 15 * 32 * 32 * 16 + 15 * 32 * 64 + 240 * 32 * 32


def test_costs_add_up():
    one = Cost(layers=1, attention=2, extras=3)
    assert one + one * 2 == Cost(3, 6, 9) and one * 0 == Cost()


def test_counting_ends_with_the_call():
    weight = torch.ones(2, 3)
    with pytest.raises(ZeroDivisionError):
        counted(lambda: F.linear(torch.ones(3), weight) / (1 // 0))
    cost, result = counted(F.linear, torch.ones(3), weight)
    assert cost.layers == 6 and result.tolist() == [3, 3]
    F.linear(torch.ones(3), weight)
    assert cost.layers == 6


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    (
        {"head_layers": 1},
        {"backbone": "pspnet18", "common_width": 320},
        {"backbone": "resnet50", "common_width": 64, "head_layers": 1},
        {"architecture": "per_frame", "backbone": "mit_b1"},
    ),
)
def test_nothing_is_missed(changes):
    """Everything PyTorch's counter sees in a network is there, published or folded."""

    def check(run, *inputs):
        with FlopCounterMode(display=False) as counter:
            cost, result = counted(run, *inputs)
        assert cost.layers + cost.attention == counter.get_total_flops() / 2
        return cost, result

    with torch.no_grad(), torch.device("meta"):
        model = build_model(tiny_config(**changes)).eval()
        model.published_order = True
        assert check(model.keyframe, torch.empty(1, 3, 64, 96))[0].layers > 1e6
        parts = fold(model)
        shallow, independent = check(parts.shallow, torch.empty(1, 64, 96, 3, dtype=torch.uint8))
        deep, common = check(parts.deep, independent)
        assert deep.layers > shallow.layers > 1e6
        decoder, _ = check(parts.decoder, independent, common)
        assert (decoder == Cost()) == (changes.get("architecture") == "per_frame")
