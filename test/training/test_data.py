"""Batches: a sample is a pure function of its number, and processes share them out."""

from dataclasses import replace

import numpy as np
import pytest

from dcfm_ros.model.config import ConfigError
from dcfm_ros.training import data as data_module
from dcfm_ros.training.config import PhaseConfig
from dcfm_ros.training.data import PairBatches, balanced_weights, with_stills


def same(one, other) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("image", "label", "neighbour", "neighbour_label"))


def test_a_batch_depends_on_its_number_alone(train_config):
    config = train_config(iterations=6)
    first, second = PairBatches(config), PairBatches(config)
    earlier = [first.batch(iteration) for iteration in range(6)]
    for iteration in (5, 2):   # as after a resumption, in any order
        assert all(map(same, second.batch(iteration), earlier[iteration]))
    images = [pair for batch in earlier for pair in batch]
    assert len(images) == 12 and not any(same(a, b) for i, a in enumerate(images) for b in images[:i])
    assert not same(PairBatches(replace(config, seed=1)).batch(0)[0], earlier[0][0])


def test_processes_share_a_batch_without_overlap(train_config):
    config = train_config(batch=5)
    whole = PairBatches(config).batch(0)
    parts = [PairBatches(config, rank, 2).batch(0) for rank in range(2)]
    assert [len(part) for part in parts] == [3, 2]
    assert all(map(same, whole[0::2], parts[0])) and all(map(same, whole[1::2], parts[1]))


def test_a_batch_smaller_than_the_group_is_an_error(train_config):
    with pytest.raises(ConfigError, match="batch 2: give at least one pair for each of 3 processes"):
        PairBatches(train_config(batch=2), 0, 3)


def test_crops_have_the_size_of_their_phase(train_config):
    phases = (PhaseConfig(1, 2, 64, 96, 1e-3, 1e-3), PhaseConfig(1, 3, 96, 64, 1e-3, 1e-3))
    batches = PairBatches(train_config(phases=phases))
    assert [pair.image.shape for pair in batches.batch(0)] == [(64, 96, 3)] * 2
    assert [pair.label.shape for pair in batches.batch(1)] == [(96, 64)] * 3


def test_sources_are_drawn_by_the_weights_of_the_phase(train_config, monkeypatch):
    drawn, config = [], train_config(batch=200)
    stills = PairBatches(config)._source("stills")
    monkeypatch.setattr(PairBatches, "_source", lambda self, name: drawn.append(name) or stills)
    data = replace(config.data, synthetic_weight=3.0, stills_weight=1.0)
    phases = (config.phases[0], replace(config.phases[0], synthetic_weight=0.0), replace(config.phases[0], stills_weight=0.0))
    batches, shares = PairBatches(replace(config, data=data, phases=phases)), []
    for phase in range(3):
        drawn.clear()
        batches.batch(4 * phase)
        shares.append(np.mean([name == "synthetic" for name in drawn]))
    assert 0.65 < shares[0] < 0.85 and shares[1:] == [0, 1]


def test_a_source_of_weight_zero_is_not_opened(train_config, monkeypatch):
    monkeypatch.setattr(data_module, "SyntheticPairs", lambda *_: pytest.fail("opened"))
    PairBatches(train_config()).batch(0)


def test_class_counts_of_processes_add_up(train_config):
    config = train_config()
    whole = PairBatches(config).class_counts(12)
    assert whole.shape == (4,) and (whole > 0).all() and whole.sum() <= 12 * 64 * 64
    assert np.array_equal(whole, sum(PairBatches(config, rank, 2).class_counts(12) for rank in range(2)))


def test_balanced_weights():
    counts = np.array([800, 100, 100, 0])
    assert balanced_weights(counts, 0) is None
    weights = balanced_weights(counts, 0.5).numpy()
    assert weights[1] == weights[2] and weights[1] / weights[0] == pytest.approx(8 ** 0.5)
    assert (weights * counts).sum() / counts.sum() == pytest.approx(1, abs=0.01)   # a mean pixel weighs 1
    assert np.isfinite(weights).all() and weights[3] > weights[1]
    assert balanced_weights(np.array([5, 5]), 1.0).tolist() == [1.0, 1.0]


def test_weights_without_any_labelled_pixel_are_equal():
    weights = balanced_weights(np.zeros(3, np.int64), 0.5)
    assert weights.isfinite().all() and len(set(weights.tolist())) == 1


def test_another_folder_of_stills(train_config):
    assert with_stills(train_config(), "elsewhere").data.stills == "elsewhere"
