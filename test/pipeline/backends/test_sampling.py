# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Features sampled through maps of motion, by PyTorch and on the CPU, against sampling written out by
hand."""

import itertools

import numpy as np
import pytest
import torch

from dcfm_ros.model.alignment import aligned, on_grid
from dcfm_ros.motion import maps
from dcfm_ros.pipeline import parallel_rows
from dcfm_ros.pipeline.backends.sampling import sampled


def by_hand(feature, motion):
    """(h, w, C) through (h, w, 2): bilinear, and what lies outside is taken from the border."""
    height, width, _ = feature.shape
    y, x = np.mgrid[:height, :width]
    column, row = (
        np.clip(x + motion[..., 0], 0.0, width - 1.0),
        np.clip(y + motion[..., 1], 0.0, height - 1.0),
    )
    left, top = np.floor(column).astype(int), np.floor(row).astype(int)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    across, down = (column - left)[..., None], (row - top)[..., None]
    upper = (1 - across) * feature[top, left] + across * feature[top, right]
    lower = (1 - across) * feature[bottom, left] + across * feature[bottom, right]
    return (1 - down) * upper + down * lower


def by_torch(feature, motion):
    motion = on_grid(torch.from_numpy(motion)[None], feature.shape[:2])
    return aligned(torch.from_numpy(feature).permute(2, 0, 1)[None], motion)[0].permute(1, 2, 0).numpy()


def on_cpu(feature, motion):
    kept, out = feature.copy(), np.full_like(feature[None], np.nan)
    assert sampled(feature[None], motion, out) is out and np.array_equal(feature, kept)
    return out[0]


both_ways = pytest.mark.parametrize("moved", [by_torch, on_cpu])


def make_feature(size, channels=5):
    return np.random.default_rng(0).normal(0.0, 1.0, (*size, channels)).astype(np.float32)


def make_map(size, reach, seed=1):
    """Up to so many cells each way; none that all but stands still, unless all are."""
    rng = np.random.default_rng(seed)
    return (reach * rng.uniform(0.2, 1.0, (*size, 2)) * rng.choice([-1, 1], (*size, 2))).astype(np.float32)


def shares(large, small):
    """(small, large): how much of each of `small` equal parts of a line is in each of `large` ones."""
    edges, parts = np.linspace(0, large, small + 1), np.arange(large)
    shared = np.clip(np.minimum(edges[1:, None], parts + 1) - np.maximum(edges[:-1, None], parts), 0, None)
    return shared * small / large


@both_ways
@pytest.mark.parametrize("reach", [0.0, 0.7, 6.0, 1e3])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 1), (5, 7), (16, 24), (33, 47)])
def test_features_are_sampled_bilinearly_and_the_border_goes_on(moved, size, reach):
    feature, motion = make_feature(size), make_map(size, reach)
    assert np.abs(moved(feature, motion) - by_hand(feature, motion)).max() <= 1e-4


@both_ways
@pytest.mark.parametrize("right, down", [(0, 0), (1, 0), (0, -2), (-3, 2), (40, -40)])
def test_whole_cells_are_copied(moved, right, down):
    feature = make_feature((17, 33))  # of so many cells PyTorch's coordinates are exact
    rows, columns = np.clip(np.arange(17) + down, 0, 16), np.clip(np.arange(33) + right, 0, 32)
    motion = np.full((17, 33, 2), (right, down), np.float32)
    assert np.array_equal(moved(feature, motion), feature[rows][:, columns])


@pytest.mark.parametrize(
    "moved, fine", [*itertools.product((by_torch, on_cpu), [(8, 12), (16, 24), (12, 36)]), (on_cpu, (9, 14))]
)
def test_a_finer_map_counts_by_its_mean_over_each_cell(moved, fine):
    """Its offsets are in its own, smaller cells. Grids that do not fit each other do not come in training."""
    size = (4, 6)
    motion = make_map(fine, 6.0) + np.float32([20.0, -15.0])
    mean = np.einsum("ay,bx,yxc->abc", shares(fine[0], size[0]), shares(fine[1], size[1]), motion)
    feature, mean = make_feature(size), mean * (size[1] / fine[1], size[0] / fine[0])
    assert np.abs(moved(feature, motion) - by_hand(feature, mean)).max() <= 1e-4


def test_cells_that_all_but_stand_still_are_copied():
    """Both ways, that is: one that moves in one direction is sampled in both."""
    feature = make_feature((33, 47))
    motion = np.random.default_rng(1).uniform(-0.25, 0.25, (33, 47, 2)).astype(np.float32)
    still = (np.abs(motion) < maps.STILL).all(axis=-1)
    assert 0.1 < still.mean() < 0.5
    found, wanted = on_cpu(feature, motion), by_hand(feature, motion)
    assert np.array_equal(found[still], feature[still]) and np.abs(found - wanted)[~still].max() <= 1e-4


@pytest.mark.parametrize("rows", [1, 2, 7, 33])
def test_the_number_of_threads_changes_nothing(monkeypatch, rows):
    feature, motion = make_feature((33, 47)), make_map((33, 47), 6.0)
    wanted = on_cpu(feature, motion)
    monkeypatch.setattr(parallel_rows, "_THREADS", 33 // rows)
    assert np.array_equal(on_cpu(feature, motion), wanted)


def test_features_of_a_batch_move_each_by_its_own_map():
    features = torch.from_numpy(make_feature((5, 7, 9), channels=3)).permute(0, 3, 1, 2)
    motions = torch.from_numpy(np.stack([make_map((7, 9), 3.0, seed) for seed in range(5)]))
    single = [aligned(feature[None], motion[None])[0] for feature, motion in zip(features, motions)]
    assert torch.equal(aligned(features, motions), torch.stack(single))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_rounded_once(dtype):
    """Positions are not: near 700 cells float16 knows only halves of them."""
    feature = torch.from_numpy(make_feature((2, 700))).permute(2, 0, 1)[None].to(dtype)
    motion = torch.from_numpy(make_map((2, 700), 1.0))[None]
    found = aligned(feature, motion)
    assert found.dtype == dtype and torch.equal(found, aligned(feature.float(), motion).to(dtype))
