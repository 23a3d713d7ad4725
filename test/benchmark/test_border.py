# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Logits with a known share of border cells."""

import numpy as np
import pytest

from dcfm_ros.benchmark.border import blocky_logits, border_share, laid_out_as


def test_the_share_of_border_cells_by_hand():
    winners = np.zeros((3, 4), np.int64)
    winners[0, 0] = 1
    logits = np.eye(2, dtype=np.float32)[winners].transpose(2, 0, 1)
    assert border_share(logits) == pytest.approx(1 / 6)  # a corner belongs to one of 2 x 3 cells
    winners[1, 1] = 1
    assert border_share(np.eye(2)[winners].transpose(2, 0, 1)) == pytest.approx(4 / 6)
    assert border_share(np.zeros((3, 1, 8))) == 0.0  # no cells at all


@pytest.mark.slow
@pytest.mark.parametrize(
    "classes, size, share",
    [
        (2, (88, 120), 0.0),
        (3, (120, 216), 0.05),
        (11, (31, 47), 0.15),
        (124, (88, 120), 0.5),
        (2, (31, 47), 1.0),
    ],
)
def test_the_share_is_as_stated(classes, size, share):
    logits = blocky_logits(classes, size, share)
    assert logits.shape == (classes, *size) and logits.dtype == np.float32
    assert border_share(logits) == pytest.approx(share, abs=0.0 if share in (0.0, 1.0) else 1.5 / min(size))


def test_both_classes_of_a_border_stand_out():
    """As in a network's logits: between two regions no third class comes near."""
    logits = np.sort(blocky_logits(11, (40, 60), 0.15), axis=0)
    at_border = logits[-2] > 1.0
    assert 0.1 < at_border.mean() < 0.5 and (logits[-2][at_border] > 2 * logits[-4][at_border]).all()


@pytest.mark.parametrize("classes, share", [(4, -0.1), (4, 1.1), (1, 0.15)])
def test_what_cannot_be_made_is_refused(classes, share):
    with pytest.raises(
        ValueError, match=f"border share {share} of {classes} classes: use 0 to 1, and two classes or more"
    ):
        blocky_logits(classes, (8, 8), share)


def test_one_class_has_no_borders():
    assert border_share(blocky_logits(1, (8, 8), 0.0)) == 0.0


def test_layouts_are_copied_and_values_kept():
    other = np.zeros((5, 6, 4), np.float32).transpose(2, 0, 1)  # classes last in memory
    logits = blocky_logits(4, (5, 6), 0.5)
    copy = laid_out_as(other, logits)
    assert copy.strides == other.strides != logits.strides and np.array_equal(copy, logits)
