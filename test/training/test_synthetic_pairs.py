# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pairs of rendered scenes: one shot, reserved seeds spared, each clip rendered once between all
processes."""

import os
import signal
from itertools import combinations

import numpy as np
import pytest

from dcfm_ros.sources.frame import VideoFrame
from dcfm_ros.sources.synthetic.video import RESERVED_SEEDS, SyntheticVideo
from dcfm_ros.training import synthetic_pairs
from dcfm_ros.training.pairs import DataError
from dcfm_ros.training.synthetic_pairs import SyntheticPairs, sparse_ruler


@pytest.fixture
def rendered(monkeypatch):
    """Frames are recorded as (video, index) instead of being rendered; an image holds the frame's number in
    `rendered`."""
    frames = []

    class Recorded(SyntheticVideo):
        def frame(self, index):
            frames.append((self, index))
            number = len(frames) - 1
            image = np.full((1, 1, 3), (number >> 16, number >> 8 & 255, number & 255), np.uint8)
            return VideoFrame(index, 0, image, np.zeros((1, 1), np.uint8), False)

    monkeypatch.setattr(synthetic_pairs, "SyntheticVideo", Recorded)
    return frames


def pairs_of(clips, radius, *group, **options):
    return SyntheticPairs(clips, radius, *group, width=32, height=32, **options)


def draw(source, count, seed=0):
    rng = np.random.default_rng(seed)
    return [source.pair(rng) for _ in range(count)]


def frames_of(pair, rendered):
    return [
        rendered[np.dot(image[0, 0].astype(int), (65536, 256, 1))] for image in (pair.image, pair.neighbour)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("radius", (1, 4, 8, 30))
def test_pairs_stay_within_one_shot(rendered, radius):
    for pair in draw(pairs_of(300, radius), 600):
        (video, one), (same_video, other) = frames_of(pair, rendered)
        assert video is same_video and 1 <= abs(one - other) <= radius
        first, last = sorted((one, other))
        assert not any(first < cut <= last for cut in video.cut_frames(last + 1))
        assert pair.origin == f"synthetic seed {video.seed} frames {one} and {other}"


@pytest.mark.slow
@pytest.mark.parametrize("radius", (1, 2, 4, 8, 16))
def test_pairs_are_evenly_at_all_distances_and_either_way(rendered, radius):
    """Each of the 2 R offsets is drawn 200 times, give or take 4.5 standard deviations."""
    steps = [
        a - b
        for (_, a), (_, b) in (frames_of(pair, rendered) for pair in draw(pairs_of(5, radius), 400 * radius))
    ]
    found, counts = np.unique(steps, return_counts=True)
    assert found.tolist() == [*range(-radius, 0), *range(1, radius + 1)]
    assert np.abs(counts - 200).max() < 4.5 * 200**0.5


def test_few_frames_measure_all_distances():
    assert sparse_ruler(8) == (0, 1, 2, 5, 8)
    for length, most in ((1, 2), (2, 3), (4, 4), (8, 5), (16, 8), (30, 11), (59, 16)):
        found = sparse_ruler(length)
        assert len(found) <= most and found[0] == 0 and found[-1] == length
        assert {b - a for a, b in combinations(found, 2)} == set(range(1, length + 1))


def test_a_radius_that_no_shot_has_room_for():
    with pytest.raises(DataError, match="radius 60: give less than 60, the frames of a short synthetic shot"):
        SyntheticPairs(1, 60)


@pytest.mark.slow
def test_reserved_seeds_are_never_drawn(rendered):
    draw(pairs_of(2500, 8), 2500)
    seeds = {video.seed for video, _ in rendered}
    assert len(seeds) > 700 and max(seeds) < RESERVED_SEEDS.start


def test_a_clip_is_rendered_once_and_the_same_everywhere(rendered):
    first, second = pairs_of(3, 8), pairs_of(3, 8)
    draw(first, 50)
    clips = {(video.seed, index) for video, index in rendered}
    assert len(rendered) == len(clips) == 3 * 5
    draw(second, 50, seed=1)
    assert {(video.seed, index) for video, index in rendered} == clips


def test_what_a_forked_process_has_rendered_is_there(rendered):
    source = pairs_of(4, 8)
    child = os.fork()
    if child == 0:
        draw(source, 40)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert draw(source, 40)[0].origin.startswith("synthetic seed ") and rendered == []


def test_everything_can_be_rendered_at_once_by_other_processes(rendered, monkeypatch):
    monkeypatch.setattr(synthetic_pairs, "cores", lambda: 3)
    source = pairs_of(5, 8)
    source.load_into_memory()
    assert {video.seed for video, _ in rendered} == {0} and source._starts.all()
    draw(source, 60)
    assert len(rendered) == 5  # of the first clip; no other is rendered when it is drawn


def test_a_rendering_process_that_dies_is_told(rendered, monkeypatch):
    source, here = pairs_of(3, 8), os.getpid()
    monkeypatch.setattr(
        source, "_render", lambda *_: 0 if os.getpid() == here else os.kill(os.getpid(), signal.SIGKILL)
    )
    with pytest.raises(
        DataError, match="renders synthetic clips ended with -9: there may be too little memory for 3 clips"
    ):
        source.load_into_memory()


def test_processes_of_a_group_draw_from_disjoint_clips(rendered):
    seen = []
    for rank in range(2):
        rendered.clear()
        draw(pairs_of(40, 8, rank, 2), 400)
        seen.append({(video.seed, index) for video, index in rendered})
    assert len(seen[0]) == len(seen[1]) == 20 * 5 and not seen[0] & seen[1]


def test_too_few_clips_for_the_processes():
    with pytest.raises(DataError, match="2 synthetic clips: give at least one for each of 3 processes"):
        SyntheticPairs(2, 8, 0, 3)


def test_a_real_clip():
    source = SyntheticPairs(1, 8, width=96, height=64)
    pair = source.pair(np.random.default_rng(0))
    for image, label in ((pair.image, pair.label), (pair.neighbour, pair.neighbour_label)):
        assert image.shape == (64, 96, 3) and image.dtype == np.uint8
        assert label.shape == (64, 96) and label.dtype == np.uint8 and label.max() < 11
    changed = np.mean(pair.label != pair.neighbour_label)
    assert 0 < changed < 0.5  # another moment of the same scene
    pair.image[:] = 0  # is the caller's own
    assert source.pair(np.random.default_rng(0)).image.any()


def test_without_labels_of_neighbours(rendered):
    assert draw(pairs_of(2, 8, neighbour_labels=False), 1)[0].neighbour_label is None


def test_more_clips_than_memory(monkeypatch):
    def full(*arguments):
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(synthetic_pairs.mmap, "mmap", full)
    with pytest.raises(DataError, match="no memory for 1000 synthetic clips, 3.5 GB: lower `clips`"):
        SyntheticPairs(1000, 8)
