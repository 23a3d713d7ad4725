# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images that never came, by the numbers of those that did."""

import pytest

from dcfm_ros.ros.sequence_gaps import SequenceGaps


def missing(*events):
    """Numbers that come; ("publishers", count) where these change."""
    gaps = SequenceGaps()
    for event in events:
        gaps.publishers_are(event[1]) if isinstance(event, tuple) else gaps.came(event)
    return gaps.missing


@pytest.mark.parametrize("events, wanted", [
    ((), None),                                        # nothing came yet
    ((None, None), None),                              # DDS gives no numbers
    ((7, 8, 9), 0),                                    # whoever listens late has missed nothing
    ((7, 8, 11, 12, 14), 3),
    ((7, 9, ("publishers", 0), ("publishers", 1), 1, 2, 4), 2),    # the camera was started anew
    ((7, 9, 1, 2, 30, ("publishers", 1), 3, 5), 2),    # the same, told later
    ((("publishers", 2), 7, 1, 9, 2, 30), 0),          # two cameras on one topic cannot be told apart
    ((("publishers", 2), 7, 1, ("publishers", 1), 8, 10), 1),
])
def test_gaps(events, wanted):
    assert missing(*events) == wanted
