# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Class tables made of names alone."""

import colorsys

import pytest

from dcfm_ros.model.importing.checkpoint import CheckpointError
from dcfm_ros.model.importing.class_names import classes_of, numbered


def test_colours_of_as_many_classes_as_a_mask_holds_all_differ():
    assert len({row.color for row in numbered(255)}) == 255


def test_neighbouring_classes_have_hues_far_apart():
    hues = [colorsys.rgb_to_hsv(*row.color)[0] for row in numbered(40)]
    for one, next_one in zip(hues, hues[1:]):
        assert 0.3 < (next_one - one) % 1.0 < 0.7


def names(*given):
    return [row.name for row in classes_of(given, "config.json")]


def test_names_are_kept_in_order():
    assert names("sky", "road") == ["sky", "road"]
    assert [row.name for row in numbered(2)] == ["class 0", "class 1"]
    assert classes_of(["sky", "road"], "a") == classes_of(["sky", "road"], "a")


def test_names_of_any_text_become_one_line():
    assert names("road, route", "Gebäude", "木", "a;b", "x" * 300, "on", "1", "'\"") == [
        "road, route",
        "Gebäude",
        "木",
        "a;b",
        "x" * 300,
        "on",
        "1",
        "'\"",
    ]
    assert names("  side \n walk\t", "a\x00b\x1b", "\ud800x") == ["side walk", "a b", "x"]


@pytest.mark.parametrize(
    "given, message",
    [
        (("road", ""), "config.json: class 1 has no name; give --classes"),
        (("road", " \n"), "class 1 has no name"),
        (
            ("road", "sky", "road", "road"),
            "config.json: class names repeat: 'road'; give --classes with names that differ",
        ),
        (("side walk", "side\nwalk"), "class names repeat: 'side walk'"),
    ],
)
def test_empty_and_repeated_names_are_refused(given, message):
    with pytest.raises(CheckpointError, match=message):
        names(*given)
