# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parameter groups, their rates and decay; the precision of training."""

import pytest
import torch
from helpers import tiny_config
from torch import nn

from dcfm_ros.training.optimiser import Precision, lowest_type, make_optimiser, set_rate
from dcfm_ros.training.start import fresh_model


@pytest.mark.parametrize(
    "model, decoder",
    [
        ({}, ("ffm.", "head.")),
        ({"backbone": "pspnet18", "common_width": 16, "head_layers": 1}, ("bottleneck.", "ffm.", "head.")),
        ({"architecture": "per_frame"}, ("classifier.",)),
    ],
)
def test_rates_and_decay_by_group(train_config, model, decoder):
    config = train_config(model=tiny_config(**model), decoder_lr=10.0, weight_decay=0.02)
    network = fresh_model(config)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    norms = {
        id(p)
        for m in network.modules()
        if isinstance(m, (nn.LayerNorm, nn.BatchNorm2d))
        for p in m.parameters()
    }
    optimiser, seen = make_optimiser(network, config), []
    set_rate(optimiser, 6e-5)
    for group in optimiser.param_groups:
        for parameter in group["params"]:
            name = names[id(parameter)]
            seen.append(name)
            # fusion: the encoder's
            assert group["lr"] == pytest.approx(6e-4 if name.startswith(decoder) else 6e-5), name
            assert group["weight_decay"] == (
                0.0 if id(parameter) in norms or name.endswith("bias") else 0.02
            ), name
    assert sorted(seen) == sorted(names.values())


def test_an_encoder_may_have_a_rate_of_its_own(train_config):
    config = train_config(encoder_lr=0.25)
    network = fresh_model(config)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    optimiser = make_optimiser(network, config)
    set_rate(optimiser, 1e-3)
    for group in optimiser.param_groups:
        for name in (names[id(parameter)] for parameter in group["params"]):
            assert group["lr"] == (
                2.5e-4 if name.startswith("encoder.") else 1e-3 if name.startswith("fusion.") else 2e-3
            ), name


def test_norms_may_be_decayed(train_config):
    config = train_config(weight_decay=0.02, decay_norms=True)
    groups = make_optimiser(fresh_model(config), config).param_groups
    assert len(groups) == 2 and all(group["weight_decay"] == 0.02 for group in groups)


def test_sgd(train_config):
    config = train_config(optimiser="sgd", momentum=0.8)
    optimiser = make_optimiser(fresh_model(config), config)
    assert isinstance(optimiser, torch.optim.SGD) and all(
        group["momentum"] == 0.8 for group in optimiser.param_groups
    )
    assert isinstance(make_optimiser(fresh_model(config), train_config()), torch.optim.AdamW)


def test_precision_on_a_cpu():
    cpu = torch.device("cpu")
    mixed, full = Precision(True, cpu), Precision(False, cpu)
    assert (str(mixed), str(full)) == ("bfloat16", "float32") and not mixed.scaler.is_enabled()
    matrix = torch.ones(2, 2)
    for precision, dtype in ((mixed, torch.bfloat16), (full, torch.float32)):
        with precision.autocast():
            assert (matrix @ matrix).dtype == dtype


@pytest.mark.parametrize("supported, dtype", [(True, torch.bfloat16), (False, torch.float16)])
def test_gpus_without_bfloat16_take_float16(monkeypatch, supported, dtype):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: supported)
    assert lowest_type(torch.device("cuda")) == dtype
