# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The plan of a labelling: spread over all data, pairs within the radius, validation apart."""

import itertools

import pytest

from dcfm_ros.distillation.plan import TRAIN, VAL, VALIDATION_RUN, plan


def frames_of(groups, split):
    return {(group.footage, frame) for group in groups if group.split == split for frame in group.frames}


def test_groups_lie_within_the_radius_and_spread_over_all_data():
    groups = plan([3000, 1000], frames=600, radius=12, held_out=0.1, seed=0)
    train = [group for group in groups if group.split == TRAIN]
    for group in train:
        assert len(set(group.frames)) == 3 and group.frames[-1] - group.frames[0] <= 12
    keys = {key for group in groups for key in group.keys}
    assert 560 <= len(keys) <= 610
    by_footage = [sum(group.footage == number for group in train) for number in range(2)]
    assert by_footage[0] == pytest.approx(3 * by_footage[1], rel=0.1)
    first = sorted(group.frames[0] for group in train if group.footage == 0)
    assert max(b - a for a, b in itertools.pairwise([0, *first, 2700])) < 60


def test_validation_is_the_end_of_each_video_and_no_training_frame_is_near():
    groups = plan([3000, 1000], frames=600, radius=12, held_out=0.1, seed=0)
    for number, length in enumerate((3000, 1000)):
        held = [group for group in groups if (group.split, group.footage) == (VAL, number)]
        assert held
        for group in held:
            assert group.frames == tuple(range(group.frames[0], group.frames[0] + VALIDATION_RUN))
        first = min(group.frames[0] for group in held)
        assert first >= 0.9 * length
        assert max(f for n, f in frames_of(groups, TRAIN) if n == number) < 0.9 * length - 11


def test_stills_have_a_virtual_neighbour_each_and_repeat_when_there_are_few():
    groups = plan([1] * 20, frames=90, radius=12, held_out=0.1, seed=0)
    held = frames_of(groups, VAL)
    assert len(held) == 2
    assert not held & frames_of(groups, TRAIN)
    pairs = [group for group in groups if group.split == TRAIN]
    assert all(len(group.keys) == 2 for group in pairs)
    assert len(pairs) == 44 and len({group.keys for group in pairs}) == 44  # 18 stills, some three times


def test_the_plan_is_the_same_again_and_another_with_another_seed():
    lengths = [500, 1, 1, 40]
    assert plan(lengths, 100, 8, 0.1, 1) == plan(lengths, 100, 8, 0.1, 1)
    assert plan(lengths, 100, 8, 0.1, 1) != plan(lengths, 100, 8, 0.1, 2)


@pytest.mark.parametrize("lengths", [[2], [3, 1], [9], [26], [27], [30, 2], [1], [100]])
@pytest.mark.parametrize("held_out", [0.0, 0.1, 0.5])
def test_short_data_still_gives_pairs(lengths, held_out):
    groups = plan(lengths, frames=60, radius=12, held_out=held_out, seed=0)
    assert any(group.split == TRAIN for group in groups)
    assert not frames_of(groups, TRAIN) & frames_of(groups, VAL)
    for group in groups:
        assert max(group.frames) < lengths[group.footage] and len(group.keys) == len(set(group.keys))
        assert group.split == VAL or len(group.keys) >= 2


def test_with_stills_a_video_is_taken_for_stills():
    groups = plan([40], frames=20, radius=12, held_out=0.0, seed=0, stills=True)
    assert all(group.is_still for group in groups) and len(groups) == 10
