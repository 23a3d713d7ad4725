# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images that never came, by the numbers of those that did."""

import pytest

from dcfm_ros.ros.sequence_gaps import SequenceGaps


def overwritten(*events):
    """Overwritten messages after received numbers; ("set_publishers", count) when these change; ("lost",
    count) when DDS reports losses."""
    gaps = SequenceGaps()
    for event in events:
        if isinstance(event, tuple):
            getattr(gaps, event[0])(event[1])
        else:
            gaps.received(event)
    return gaps.overwritten


@pytest.mark.parametrize(
    "events, wanted",
    [
        ((), None),  # nothing came yet
        ((None, None), None),  # DDS gives no numbers
        ((7, 8, 9), 0),  # whoever listens late has missed nothing
        ((7, 8, 11, 12, 14), 3),
        ((7, 9, ("set_publishers", 0), ("set_publishers", 1), 1, 2, 4), 2),  # the camera was started anew
        ((7, 9, 1, 2, 30, ("set_publishers", 1), 3, 5), 2),  # the same, told later
        ((("set_publishers", 2), 7, 1, 9, 2, 30), 0),  # two cameras on one topic cannot be told apart
        ((("set_publishers", 2), 7, 1, ("set_publishers", 1), 8, 10), 1),
        ((7, ("lost", 2), 10, 12), 1),  # of the missing, two were lost on the way
        ((7, 10, ("lost", 2), 12), 1),  # the same, told later
        ((7, ("lost", 2)), 0),  # and before it shows
        ((("set_publishers", 2), 7, ("lost", 9), ("set_publishers", 1), 8, 10), 1),
    ],
)
def test_gaps(events, wanted):
    assert overwritten(*events) == wanted
