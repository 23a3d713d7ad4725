# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Class tables made of names alone."""

import colorsys

from dcfm_ros.model.importing.class_names import classes_of, numbered


def test_colours_of_as_many_classes_as_a_mask_holds_all_differ():
    assert len({row.color for row in numbered(255)}) == 255


def test_neighbouring_classes_have_hues_far_apart():
    hues = [colorsys.rgb_to_hsv(*row.color)[0] for row in numbered(40)]
    for one, next_one in zip(hues, hues[1:]):
        assert 0.3 < (next_one - one) % 1.0 < 0.7


def test_names_are_kept_in_order():
    assert [row.name for row in classes_of(["sky", "road"])] == ["sky", "road"]
    assert [row.name for row in numbered(2)] == ["class 0", "class 1"]
    assert classes_of(["sky", "road"]) == classes_of(["sky", "road"])
