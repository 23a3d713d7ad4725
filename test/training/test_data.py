# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Batches: a sample is a pure function of its number, processes share them out, workers prepare them
ahead."""

from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from dcfm_ros.model.config import ConfigError
from dcfm_ros.training import data
from dcfm_ros.training.data import PairBatches, affordable_workers, balanced_weights, load_batches, stacked
from dcfm_ros.training.datasets import open_data
from dcfm_ros.training.group import Group
from dcfm_ros.training.pairs import DataError
from dcfm_ros.training.settings import PhaseConfig, SourceConfig


def batches_of(config, rank=0, world=1):
    return PairBatches(config, open_data(config, rank, world)[0], rank, world)


def same(one, other) -> bool:
    names = ("image", "label", "neighbour", "neighbour_label")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


def same_batch(one, other) -> bool:
    return (
        all(torch.equal(a, b) for a, b in zip(one[:4], other[:4]))
        and one.origins == other.origins
        and (one.motion is other.motion is None or torch.equal(one.motion, other.motion))
    )


def test_a_batch_depends_on_its_number_alone(train_config):
    config = train_config(iterations=6)
    first, second = batches_of(config), batches_of(config)
    earlier = [first.pairs(iteration) for iteration in range(6)]
    for iteration in (5, 2):  # as after a resumption, in any order
        assert all(map(same, second.pairs(iteration), earlier[iteration]))
    images = [pair for batch in earlier for pair in batch]
    assert len(images) == 12 and not any(same(a, b) for i, a in enumerate(images) for b in images[:i])
    assert not same(batches_of(replace(config, seed=1)).pairs(0)[0], earlier[0][0])


def test_processes_share_a_batch_without_overlap(train_config):
    config = train_config(batch=6)
    whole = batches_of(config).pairs(0)
    parts = [batches_of(config, rank, 2).pairs(0) for rank in range(2)]
    assert [len(part) for part in parts] == [3, 3]
    assert all(map(same, whole[0::2], parts[0])) and all(map(same, whole[1::2], parts[1]))


@pytest.mark.parametrize("batch, such_as", [(2, 3), (4, 6)])
def test_a_batch_that_processes_cannot_share_evenly_is_an_error(train_config, batch, such_as):
    """The gradients of each count alike, so each needs as many pairs."""
    message = (
        f"batch {batch} cannot be divided evenly among 3 processes: use a multiple of 3, such as {such_as}, "
        f"or another"
    )
    with pytest.raises(ConfigError, match=message):
        PairBatches(train_config(batch=batch), (), 0, 3)


def test_crops_have_the_size_of_their_phase(train_config):
    phases = (PhaseConfig(1, 2, 64, 96, 1e-3, 1e-3), PhaseConfig(1, 3, 97, 66, 1e-3, 1e-3))
    batches = batches_of(train_config(phases=phases))
    assert [pair.image.shape for pair in batches.pairs(0)] == [(64, 96, 3)] * 2
    assert [pair.label.shape for pair in batches.pairs(1)] == [(97, 66)] * 3


@pytest.mark.slow
def test_sources_are_drawn_by_the_weights_of_the_phase(train_config, stills):
    config, drawn = train_config(batch=200), []
    source = open_data(config)[0][0]

    class Noted:
        def __init__(self, number):
            self.number = number

        def pair(self, rng):
            drawn.append(self.number)
            return source.pair(rng)

    entry = SourceConfig("folder", root=str(stills))
    data = replace(config.data, sources=(replace(entry, weight=3), replace(entry, weight=0), entry))
    phases = (
        config.phases[0],
        replace(config.phases[0], weights=(0, 0, 2)),
        replace(config.phases[0], weights=(1, 0, 0)),
    )
    batches, shares = PairBatches(replace(config, data=data, phases=phases), [Noted(0), None, Noted(2)]), []
    for phase in range(3):
        drawn.clear()
        batches.pairs(4 * phase)
        shares.append(np.mean([number == 0 for number in drawn]))
    assert 0.65 < shares[0] < 0.85 and shares[1:] == [0, 1]


def test_batches_are_stacked(train_config):
    pairs = batches_of(train_config()).pairs(0)
    batch = stacked([pairs[0], replace(pairs[1], neighbour_label=None)])
    assert batch.labelled.shape == batch.neighbour.shape == (2, 64, 64, 3) and batch.labels.shape == (
        2,
        64,
        64,
    )
    assert {tensor.dtype for tensor in batch[:4]} == {torch.uint8}
    assert torch.equal(batch.neighbour_labels[0], torch.from_numpy(pairs[0].neighbour_label))
    assert (batch.neighbour_labels[1] == 255).all()
    assert batch.origins == tuple(pair.origin for pair in pairs)
    assert stacked([replace(pair, neighbour_label=None) for pair in pairs]).neighbour_labels is None


@pytest.mark.parametrize("height, width", ((64, 96), (97, 66)))
def test_motion_comes_on_top_of_what_pairs_are_without_it(train_config, height, width):
    """The same images and labels by the same draws."""
    phases = (PhaseConfig(1, 4, height, width, 1e-3, 1e-3),)
    plain, moves = (batches_of(train_config(phases=phases, aligned=aligned)) for aligned in (0.0, 1.0))
    assert all(map(same, plain.pairs(0), moves.pairs(0))) and np.array_equal(
        plain.class_counts(4), moves.class_counts(4)
    )
    assert all(pair.motion is None for pair in plain.pairs(0)) and plain[0].motion is None
    assert all(pair.motion.shape == (2, height // 4, width // 4, 2) for pair in moves.pairs(0))
    batch = moves[0]
    assert batch.motion.shape == (4, 2, height // 4, width // 4, 2) and batch.motion.dtype == torch.float32
    assert batch.motion.any() and torch.equal(batch.motion[3], torch.from_numpy(moves.pairs(0)[3].motion))


@pytest.mark.slow
@pytest.mark.parametrize("workers, aligned", ((0, 0.0), (1, 0.5), (2, 0.0), (2, 0.5)))
def test_workers_give_the_same_batches_in_order(train_config, workers, aligned):
    config = train_config(iterations=5, aligned=aligned)
    batches = batches_of(config)
    found = list(load_batches(batches, range(1, 5), workers))
    assert len(found) == 4
    assert all(same_batch(batch, batches[iteration]) for iteration, batch in zip(range(1, 5), found))


@pytest.mark.parametrize("workers", (0, 1))
def test_errors_come_with_the_name_of_the_file(train_config, stills, workers):
    path = stills / "labels" / "b_2.png"
    config = train_config(batch=16)
    path.write_bytes(b"no picture")
    (found,) = load_batches(batches_of(config), range(1), workers)
    assert isinstance(found, DataError)
    assert str(found) == f"label {path} cannot be read as a PNG; it is damaged or not what its name says"


@pytest.mark.parametrize(
    "spoil, message",
    [
        ("image", "images/b_2.png cannot be read as an image; it is damaged"),
        ("size", "label .*labels/b_2.png is 48x64 but its image 96x64: make both the same size"),
        (
            "value",
            "label .*labels/b_2.png holds 4 at row 0, column 0, but there are 4 classes; use 0 to 3, or 255",
        ),
    ],
)
def test_unusable_files_are_named(train_config, stills, spoil, message):
    label = np.zeros((64, 96), np.uint8)
    if spoil == "image":
        (stills / "images" / "b_2.png").write_bytes(b"no picture")
    else:
        content = label[:, :48] if spoil == "size" else label + 4
        assert cv2.imwrite(str(stills / "labels" / "b_2.png"), content)
    (found,) = load_batches(batches_of(train_config(batch=16)), range(1), workers=1)
    with pytest.raises(DataError, match=message):
        raise found


def test_class_counts_of_processes_add_up(train_config):
    config = train_config()
    whole = batches_of(config).class_counts(12)
    assert whole.shape == (4,) and (whole > 0).all() and whole.sum() <= 12 * 64 * 64
    assert np.array_equal(whole, sum(batches_of(config, rank, 2).class_counts(12) for rank in range(2)))


def test_balanced_weights():
    counts = np.array([800, 100, 100, 0])
    assert balanced_weights(counts, 0) is None
    weights = balanced_weights(counts, 0.5).numpy()
    assert weights[1] == weights[2] and weights[1] / weights[0] == pytest.approx(8**0.5)
    assert (weights * counts).sum() / counts.sum() == pytest.approx(1, abs=0.01)  # a mean pixel weighs 1
    assert np.isfinite(weights).all() and weights[3] > weights[1]
    assert balanced_weights(np.array([5, 5]), 1.0).tolist() == [1.0, 1.0]


def test_weights_without_any_labelled_pixel_are_equal():
    weights = balanced_weights(np.zeros(3, np.int64), 0.5)
    assert weights.isfinite().all() and len(set(weights.tolist())) == 1


@pytest.mark.parametrize(
    "free, aligned, wanted",
    [(64e9, 0.0, 14), (1.05e9, 0.0, 4), (1.05e9, 0.5, 3), (64e6, 0.0, 0), (None, 0.0, 14)],
)
def test_workers_are_as_many_as_their_batches_have_room_for(train_config, monkeypatch, free, aligned, wanted):
    """64 pairs of 352x480 are 87 MB, an eighth more with their motion, and three batches of each worker may
    be on their way."""

    def disk_usage(path):
        if free is None:
            raise FileNotFoundError(path)
        return SimpleNamespace(free=free)

    monkeypatch.setattr(data.shutil, "disk_usage", disk_usage)
    config = train_config(phases=(PhaseConfig(1, 64, 352, 480, 1e-3, 0.0),), aligned=aligned)
    said = []
    assert affordable_workers(config, 14, Group(0, 1, torch.device("cpu")), said.append) == wanted
    assert bool(said) == (wanted < 14) and all(
        "MB of /dev/shm" in line and f"{wanted} are used" in line for line in said
    )
