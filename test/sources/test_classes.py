# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Class tables."""

import pytest

from dcfm_ros.sources.classes import CITYSCAPES19, STREET11, VSPW124, voc_colour


@pytest.mark.parametrize(
    "table, length, some",
    [
        (STREET11, 11, {0: "sky", 3: "road", 10: "bicyclist"}),
        (CITYSCAPES19, 19, {0: "road", 10: "sky", 11: "person", 13: "car", 18: "bicycle"}),
        (VSPW124, 124, {0: "wall", 18: "road", 28: "sky", 48: "car", 60: "person", 66: "tree", 123: "train"}),
    ],
)
def test_tables_are_complete_and_unambiguous(table, length, some):
    names, colours = zip(*table)
    assert len(table) == len(set(names)) == len(set(colours)) == length
    assert all(0 <= value <= 255 for colour in colours for value in colour)
    assert {number: names[number] for number in some} == some


def test_voc_colours():
    """Of the published list: background, aeroplane, bicycle, person, TV monitor."""
    assert [voc_colour(number) for number in (0, 1, 2, 15, 20)] == [
        (0, 0, 0),
        (128, 0, 0),
        (0, 128, 0),
        (192, 128, 128),
        (0, 64, 128),
    ]
    assert len({voc_colour(number) for number in range(256)}) == 256
