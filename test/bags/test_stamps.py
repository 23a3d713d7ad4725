# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Stamps to nanoseconds and back, to the edges of what a message holds."""

import pytest
from bags_helpers import START_NS, read_bag, write_bag
from helpers import write_tiny_model
from segmenting_helpers import segment

from dcfm_ros.bags.stamps import stamp_message
from dcfm_ros.bags.types import typestore
from dcfm_ros.stamps import stamp_ns

LAST = (2**31 - 1) * 10**9 + 2**32 - 1
FIRST = -(2**31) * 10**9


@pytest.mark.parametrize(
    "ns, sec, nanosec",
    [
        (0, 0, 0),
        (1_700_000_000_000_000_001, 1_700_000_000, 1),
        (-1, -1, 999_999_999),
        ((2**31 - 1) * 10**9 + 10**9, 2**31 - 1, 10**9),  # no second follows
        (LAST, 2**31 - 1, 2**32 - 1),
        (LAST + 1, 2**31 - 1, 2**32 - 1),
        (2**64, 2**31 - 1, 2**32 - 1),
        (FIRST, -(2**31), 0),
        (FIRST - 1, -(2**31), 0),
        (-(2**63), -(2**31), 0),
    ],
)
def test_the_nearest_that_a_message_holds(ns, sec, nanosec):
    stamp = stamp_message(ns)
    assert (stamp.sec, stamp.nanosec) == (sec, nanosec)
    assert stamp_ns(stamp) == min(max(ns, FIRST), LAST)
    typestore().serialize_cdr(stamp, "builtin_interfaces/msg/Time")


@pytest.mark.slow
def test_stamps_at_the_edge_end_no_run(tmp_path):
    """A camera with a wrong clock: masks have its stamps, and features name the image that they are of."""
    stamps = [LAST - 4, LAST - 3, LAST - 2, LAST - 1, LAST]
    bag = write_bag(
        tmp_path / "drive", len(stamps), stamps={number: ns - START_NS for number, ns in enumerate(stamps)}
    )
    report = segment(bag, tmp_path / "masks", write_tiny_model(tmp_path / "tiny"))
    assert report["cameras"][0]["masks"] == len(stamps)
    made = read_bag(tmp_path / "masks")
    assert [stamp_ns(mask.header.stamp) for _, mask in made["/dcfm/mask"]] == stamps
    assert {stamp_ns(info.feature_stamp) for _, info in made["/dcfm/mask_info"]} <= set(stamps)
    assert stamp_ns(made["/dcfm/palette"][0][1].header.stamp) == stamps[0]
