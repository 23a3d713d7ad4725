# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Modes: which frames can be decoded, and with which features."""

import pytest
from pipeline_helpers import work

from dcfm_ros.pipeline.keyframe import Reference
from dcfm_ros.pipeline.modes import AsyncMode, PerFrameMode, SyncMode, TwoSidedMode, mode_type
from dcfm_ros.pipeline.settings import Mode


def references(count):
    return [Reference(f"feature {index}", index, 0, 0) for index in range(count)]


def found(decodables):
    return [
        (work.index, [reference.index for reference in references if reference])
        for work, references in decodables
    ]


@pytest.mark.parametrize("kind", [AsyncMode, SyncMode])
def test_the_newest_feature_whatever_was_before(kind):
    mode, (old, new) = kind(), references(2)
    assert found(mode.add(work(5), old, new, 10)) == [(5, [1])]
    assert found(mode.add(work(6), new, new, 10)) == [(6, [1])]
    assert found(mode.add(work(7), None, None, 10)) == [(7, [])] and mode.flush(new) == []


def test_a_per_frame_network_has_no_use_for_another_frames_feature():
    mode, (old, own) = PerFrameMode(), references(2)
    assert found(mode.add(work(1), old, own, 1)) == [(1, [1])]
    assert found(mode.add(work(2), own, own, 1)) == [(2, [])]


def test_two_sided_frames_wait_for_the_second_keyframe():
    mode, (first, second) = TwoSidedMode(), references(2)
    assert found(mode.add(work(0), None, first, 3)) == [(0, [0])]
    assert mode.add(work(1), first, first, 3) == mode.add(work(2), first, first, 3) == []
    assert found(mode.add(work(3), first, second, 3)) == [(1, [0, 1]), (2, [0, 1]), (3, [1])]
    assert mode.flush(second) == []


def test_two_sided_frames_do_not_wait_longer_than_max_interval_nor_without_a_feature():
    mode, (first,) = TwoSidedMode(), references(1)
    assert found(mode.add(work(0), None, None, 2)) == [(0, [])]
    assert mode.add(work(1), first, first, 2) == mode.add(work(2), first, first, 2) == []
    assert found(mode.add(work(3), first, first, 2)) == [(1, [0]), (2, [0]), (3, [0])]
    mode.add(work(4), first, first, 2)
    assert found(mode.flush(first)) == [(4, [0])] and mode.flush(first) == []


def test_only_in_async_the_deep_path_runs_beside_the_masks():
    assert [mode_type(mode, per_frame=False).inline for mode in (Mode.ASYNC, Mode.SYNC, Mode.TWO_SIDED)] == [
        False,
        True,
        True,
    ]
    assert {mode_type(mode, per_frame=True) for mode in Mode} == {PerFrameMode}
