# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Each value finds the mask whose stamp is nearest, as soon as no nearer one can come."""

from dcfm_ros.ros.nearest_join import NearestJoin, Pair


def feed(join, *events):
    """Return the output at each step: ("m", stamp) is a mask, ("v", stamp) a value; both are called by their
    stamps."""
    return [
        (join.add_mask if kind == "m" else join.add_value)(stamp, f"{kind}{stamp}") for kind, stamp in events
    ]


def test_equal_stamps_find_each_other_in_either_order():
    join = NearestJoin(0, 3)
    assert feed(join, ("v", 10), ("v", 20), ("m", 10), ("m", 20)) == [
        [],
        [],
        [Pair("v10", "m10", 0)],
        [Pair("v20", "m20", 0)],
    ]
    assert feed(join, ("m", 30), ("v", 30)) == [[], [Pair("v30", "m30", 0)]]


def test_a_value_whose_mask_was_left_out_leaves_with_the_next_one():
    join = NearestJoin(0, 3)
    assert feed(join, ("m", 10), ("v", 20), ("v", 30), ("m", 30)) == [
        [],
        [],
        [],
        [Pair("v20", None, 10), Pair("v30", "m30", 0)],
    ]


def test_the_nearest_one_is_known_once_a_newer_one_is_there():
    join = NearestJoin(10, 3)
    assert feed(join, ("m", 10), ("v", 16), ("v", 14), ("m", 20)) == [
        [],
        [],
        [],
        [Pair("v16", "m20", 4), Pair("v14", "m10", 4)],
    ]
    assert feed(join, ("v", 19), ("v", 35), ("m", 50)) == [
        [Pair("v19", "m20", 1)],
        [],
        [Pair("v35", None, 15)],
    ]


def test_slop_is_the_difference_at_most():
    assert feed(NearestJoin(10, 3), ("m", 10), ("v", 20), ("m", 31)) == [[], [], [Pair("v20", "m10", 10)]]
    assert feed(NearestJoin(9, 3), ("m", 10), ("v", 20), ("m", 31)) == [[], [], [Pair("v20", None, 10)]]


def test_what_waits_is_bounded():
    join = NearestJoin(5, 2)
    assert feed(join, ("v", 1), ("v", 2), ("v", 3)) == [[], [], [Pair("v1", None, None)]]
    join = NearestJoin(5, 2)
    # masks have ended
    assert feed(join, ("m", 1), ("v", 2), ("v", 3), ("v", 4)) == [[], [], [], [Pair("v2", "m1", 1)]]
    assert feed(join, ("m", 10), ("m", 20), ("m", 30))[0] == [Pair("v3", "m1", 2), Pair("v4", "m1", 3)]
    assert feed(join, ("v", 10)) == [[Pair("v10", None, 10)]]  # of 20, as two wait
    assert join.take_unused() == 1 and join.take_unused() == 0


def test_of_equal_stamps_the_newer_counts():
    join = NearestJoin(0, 3)
    assert feed(join, ("m", 10), ("m", 10)) == [[], []]
    assert join.take_unused() == 1
    join.add_mask(10, "newer")
    assert feed(join, ("v", 10)) == [[Pair("v10", "newer", 0)]]


def test_a_stamp_that_jumps_back_begins_anew():
    join = NearestJoin(100, 3)
    assert feed(join, ("m", 1000), ("m", 1010), ("m", 5), ("v", 20)) == [[], [], [], []]
    assert join.take_unused() == 2
    assert feed(join, ("m", 30)) == [[Pair("v20", "m30", 10)]]
