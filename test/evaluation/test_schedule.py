# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Schedules against what is written down by hand."""

import pytest

from dcfm_ros.evaluation.schedule import Schedule, fixed_keyframes, phases, serving


def served(schedule, keyframes, length):
    return [serving(schedule, keyframes, frame) for frame in range(length)]


def test_one_clip_has_all_phases_and_several_take_turns():
    assert list(phases(4, 0, 1)) == [0, 1, 2, 3]
    assert [list(phases(3, number, 5)) for number in range(5)] == [[0], [1], [2], [0], [1]]
    assert list(phases(1, 7, 9)) == [0]


@pytest.mark.parametrize(
    "length, mode, interval, phase, wanted",
    [
        (9, "two_sided", 3, 0, [0, 3, 6]),
        (9, "two_sided", 3, 2, [2, 5, 8]),
        (9, "causal", 3, 0, [0, 3, 6]),
        (9, "causal", 3, 2, [0, 2, 5, 8]),
        (9, "async", 4, 1, [0, 1, 5]),
        (3, "two_sided", 1, 0, [0, 1, 2]),
        (2, "two_sided", 6, 4, [0]),  # too short for the phase
        (1, "causal", 6, 4, [0]),
    ],
)
def test_keyframes_of_fixed_intervals(length, mode, interval, phase, wanted):
    assert fixed_keyframes(length, mode, interval, phase) == wanted


def test_two_sided_uses_both_neighbours_and_leaves_a_missing_one_out():
    assert served(Schedule("two_sided", interval=3), [1, 4, 7], 9) == [
        (1,),
        (1,),
        (1, 4),
        (1, 4),
        (4,),
        (4, 7),
        (4, 7),
        (7,),
        (7,),
    ]
    assert served(Schedule("two_sided", interval=9), [0], 3) == [(0,), (0,), (0,)]


def test_causal_uses_the_keyframe_before():
    assert served(Schedule("causal", interval=3), [0, 2, 5], 7) == [(0,), (0,), (2,), (2,), (2,), (5,), (5,)]


def test_async_waits_for_the_delay_but_not_for_the_first_keyframe():
    assert served(Schedule("async", interval=3, delay=2), [0, 3, 6], 9) == [
        (0,),
        (0,),
        (0,),
        (0,),
        (0,),
        (3,),
        (3,),
        (3,),
        (6,),
    ]
    assert served(Schedule("async", interval=3, delay=5), [0, 1], 7) == [(0,)] * 6 + [(1,)]


def test_a_keyframe_in_every_frame():
    frames = list(range(5))
    for mode in ("two_sided", "causal"):
        assert served(Schedule(mode, interval=1), frames, 5) == [(0,), (1,), (2,), (3,), (4,)]
    assert served(Schedule("async", interval=1, delay=2), frames, 5) == [(0,), (0,), (0,), (1,), (2,)]


@pytest.mark.parametrize("interval", [1, 2, 3, 7])
def test_async_without_delay_is_causal(interval):
    for phase in range(interval):
        keyframes = fixed_keyframes(20, "async", interval, phase)
        assert keyframes == fixed_keyframes(20, "causal", interval, phase)
        assert served(Schedule("async", interval=interval), keyframes, 20) == served(
            Schedule("causal", interval=interval), keyframes, 20
        )


@pytest.mark.parametrize(
    "values, message",
    [
        (dict(mode="sideways", interval=2), "unknown mode 'sideways': use one of two_sided, causal, async"),
        (dict(mode="causal"), "interval None and threshold None: give one of them"),
        (dict(mode="causal", interval=2, threshold=0.3), "interval 2 and threshold 0.3: give one of them"),
        (dict(mode="causal", interval=0), "interval 0: use 1 to 1000 frames"),
        (dict(mode="async", interval=2, delay=-1), "delay -1: use 0 to 1000 frames"),
        (dict(mode="causal", interval=2, delay=1), "delay 1 in mode causal: only async has a delay"),
        (
            dict(mode="causal", interval=2, alignment="sideways"),
            "unknown alignment 'sideways': use one of flow, none, logits",
        ),
        (dict(mode="per_frame", interval=2), "interval 2: a per-frame network computes every frame, use 1"),
    ],
)
def test_bad_schedules_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        Schedule(**values)


def test_names_that_people_read():
    assert Schedule("two_sided", interval=2).mode_name == "two-sided"
    assert Schedule("async", interval=2, delay=3).mode_name == "async, delay 3"
    assert Schedule("causal", interval=2).keyframe_rule == "K = 2"
    assert Schedule("causal", threshold=0.32).keyframe_rule == "AKS 0.32"


@pytest.mark.parametrize(
    "alignment, name, moves",
    [("none", "as published", False), ("flow", "aligned", True), ("logits", "moved logits", True)],
)
def test_alignments_change_neither_keyframes_nor_whom_they_serve(alignment, name, moves):
    schedule = Schedule("two_sided", interval=3, alignment=alignment)
    assert schedule.alignment_name == name and schedule.moves is moves
    assert served(schedule, [1, 4], 6) == served(Schedule("two_sided", interval=3), [1, 4], 6)


def test_the_published_masks_are_meant_where_nothing_is_said():
    assert Schedule("causal", interval=2) == Schedule("causal", interval=2, alignment="none")
    assert Schedule("per_frame", interval=1).alignment_name == "-"
