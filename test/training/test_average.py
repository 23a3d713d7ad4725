# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The moving average of weights."""

import pytest
import torch
from helpers import tiny_model
from training_helpers import record_of, run, same, weights

from dcfm_ros.training.average import WeightAverage


def set_all(model, value):
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.fill_(value)


def test_it_forgets_the_beginning_and_then_averages():
    trained = tiny_model()
    average, wanted = WeightAverage(trained, 0.5), 0.0
    for step, value in enumerate((1.0, 3.0, 2.0, 7.0, 7.0, 9.0)):
        set_all(trained, value)
        average.update()
        decay = min(0.5, (1 + step) / (10 + step)) if step else 0.0  # the first is taken as it is
        wanted = decay * wanted + (1 - decay) * value
        for name, tensor in average.model.state_dict().items():  # statistics of batch norms are averaged, too
            if not name.endswith("num_batches_tracked"):
                assert tensor.flatten()[0].item() == pytest.approx(wanted), name
    assert average.model is not trained


def test_without_one_the_last_weights_are_it():
    trained = tiny_model()
    average = WeightAverage(trained, 0.0)
    average.update()
    assert average.model is trained and average.state() is None


@pytest.mark.slow
def test_what_is_saved_is_the_average_and_resumption_repeats_it(train_config, tmp_path):
    whole = run(train_config(iterations=4, average=0.9), tmp_path / "whole").folder
    run(train_config(iterations=2, average=0.9), tmp_path / "halves")
    halves = run(train_config(iterations=4, average=0.9), tmp_path / "halves", resume=True).folder
    last = run(train_config(iterations=4), tmp_path / "last").folder
    assert same(weights(whole), weights(halves)) and not same(weights(whole), weights(last))
    assert record_of(whole)["configuration"]["average"] == 0.9
