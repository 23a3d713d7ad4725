# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parts of a frame find each other by their stamps, and what finds no partner does not stay."""

import itertools

import pytest

from dcfm_ros.ros.stamp_join import StampJoin

PARTS = ("image", "mask", "info")


@pytest.mark.parametrize("order", list(itertools.permutations(PARTS)))
def test_a_frame_leaves_with_its_last_part(order):
    join = StampJoin(PARTS, waiting=2)
    left = [frame for part in order for frame in join.add(7, part, part.upper())]
    assert left == [(7, {part: part.upper() for part in PARTS})]
    assert list(join.rest()) == []


def test_frames_that_overtake_each_other():
    join = StampJoin(PARTS, waiting=3)
    parts = [(1, "image"), (2, "image"), (2, "info"), (1, "mask"), (2, "mask"), (1, "info")]
    assert [stamp for stamp, part in parts for stamp, _ in join.add(stamp, part, None)] == [2, 1]


def test_the_oldest_leaves_incomplete_when_too_many_wait():
    join = StampJoin(PARTS, waiting=2)
    assert list(join.add(1, "image", "a")) == list(join.add(2, "mask", "b")) == []
    assert list(join.add(3, "image", "c")) == [(1, {"image": "a"})]
    assert list(join.rest()) == [(2, {"mask": "b"}), (3, {"image": "c"})]


def test_of_equal_stamps_the_newer_counts():
    join = StampJoin(PARTS, waiting=2)
    for part, value in (("image", 1), ("image", 2), ("mask", 3)):
        assert list(join.add(1, part, value)) == []
    assert list(join.add(1, "info", 4)) == [(1, {"image": 2, "mask": 3, "info": 4})]
