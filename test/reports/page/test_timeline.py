# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Lines of the timeline keep every peak, whatever the length of the recording."""

import re
from dataclasses import replace

import numpy as np
import pytest
from replay_page_helpers import points

from dcfm_ros.reports.page.timeline import MOST_POINTS, WIDTH, thinned, timelines
from dcfm_ros.reports.reason_colors import REASONS


def vertices(path):
    return [(float(x), float(y)) for x, y in re.findall(r"[ML]([-\d.]+) ([-\d.]+)", path)]


@pytest.mark.parametrize("length", [1, 10, 1500, 1501, 3001, 100_000])
def test_thinning_keeps_the_extremes_and_the_ends(length):
    values = np.random.default_rng(length).normal(size=length)
    chosen = thinned(values, 1500)
    assert len(chosen) <= 1500 and (np.diff(chosen) > 0).all()
    assert {0, length - 1, int(values.argmin()), int(values.argmax())} <= set(chosen.tolist())
    if length <= 1500:
        assert len(chosen) == length


def test_each_peak_of_a_long_recording_stays():
    values = np.zeros(100_000)
    peaks = np.arange(50, 100_000, 997)
    values[peaks] = 1
    assert set(peaks.tolist()) <= set(thinned(values).tolist())


def test_thinning_needs_some_points():
    with pytest.raises(ValueError, match="most 3: keep at least 4 points"):
        thinned(np.zeros(10), 3)


def test_lines_go_through_their_values():
    (line,) = timelines(points(11), threshold=0.32)
    score, age, *_ = line.panels
    assert [panel.key for panel in line.panels] == ["score", "age", "flicker", "miou"]
    assert [x for x, _ in vertices(score.path)] == [WIDTH * number / 10 for number in range(11)]
    heights = [y for _, y in vertices(age.path)]
    assert heights[0] == heights[5] == age.height and min(heights) == heights[4] == heights[9]
    assert 0 < score.threshold < score.height
    assert len(vertices(line.panels[3].path)) == 4  # the labelled frames only


def test_marks_of_keyframes_by_reason():
    (line,) = timelines(points(11), threshold=0.32)
    assert [(mark.reason, mark.count) for mark in line.marks] == [("first", 1), ("deviation", 2)]
    assert line.marks[1].ticks == "M500 0v1M1000 0v1" == line.marks[1].rules
    assert line.marks[0].color == "rgb({}, {}, {})".format(*REASONS["first"])


def test_an_unknown_reason_has_a_mark_too():
    (line,) = timelines(points(6, reason="a new one"), threshold=None)
    assert [mark.reason for mark in line.marks] == ["a new one"] and line.panels[0].threshold is None


@pytest.mark.slow
def test_a_long_recording_makes_a_small_drawing():
    (line,) = timelines(points(100_000), threshold=0.32)
    assert line.frames == 100_000 and sum(mark.count for mark in line.marks) == 20_000
    assert all(len(vertices(panel.path)) <= MOST_POINTS for panel in line.panels)
    assert all(len(column) <= MOST_POINTS for column in line.hover.values())
    assert all(mark.ticks.count("M") <= 2 * WIDTH + 1 and not mark.rules for mark in line.marks)


def test_lines_are_broken_where_the_camera_was_silent():
    whole = points(100)
    with_gap = whole[:50] + [replace(point, time_s=point.time_s + 9) for point in whole[50:]]
    assert timelines(whole, 0.3)[0].panels[0].path.count("M") == 1
    assert timelines(with_gap, 0.3)[0].panels[0].path.count("M") == 2


def test_cameras_share_the_time_axis():
    left, right = timelines([*points(11, "left"), *points(21, "right")], threshold=0.32)
    assert (left.begin_s, left.end_s) == (right.begin_s, right.end_s) == (0.0, 2.0)
    assert vertices(left.panels[0].path)[-1][0] == WIDTH / 2 and left.time_ticks == right.time_ticks


def test_a_hard_cut_does_not_press_the_rest_flat():
    (line,) = timelines([*points(10), replace(points(11)[10], score=9.0)], threshold=0.3)
    assert line.panels[0].threshold == pytest.approx(0.75 * line.panels[0].height)
    assert vertices(line.panels[0].path)[-1][1] == 0.0  # at the upper edge
    assert line.hover["score"][-1] == 9.0


def test_what_the_pointer_shows():
    hover = timelines(points(6), 0.3)[0].hover
    assert hover["stamp"][1] == "1700000000.100000000" and hover["reason"] == [
        "first",
        None,
        None,
        None,
        None,
        "deviation",
    ]
    assert hover["age_frames"] == [0, 1, 2, 3, 4, 0] and hover["flicker"][:4] == [None] * 4


@pytest.mark.parametrize(
    "changes", [{"score": float("nan")}, {"score": float("inf")}, {"flicker": None, "miou": None}]
)
@pytest.mark.parametrize("count", [1, 2, 2000])
def test_missing_values(changes, count):
    (line,) = timelines(points(count, **changes), threshold=0.3)
    text = "".join(panel.path for panel in line.panels)
    assert "nan" not in text and "inf" not in text
    if "flicker" in changes:
        assert [panel.key for panel in line.panels] == ["score", "age"]


@pytest.mark.parametrize("highest", [0.001, 0.0151, 0.0456, 0.049, 0.099, 0.3, 0.999])
def test_every_axis_has_a_scale(highest):
    (line,) = timelines(points(50, flicker=highest, age_frames=round(30 * highest)), threshold=None)
    for panel in line.panels:
        assert 2 <= len(panel.grid) <= 6 and len({text for _, text in panel.grid}) == len(panel.grid)
        assert all(0 <= y <= panel.height for y, _ in panel.grid)


def test_nothing_makes_no_timeline():
    assert timelines([], 0.3) == []


@pytest.mark.slow
@pytest.mark.parametrize("count, last", [(11, "1.0 s"), (600, "55 s"), (1201, "2:00"), (72_001, "2:00:00")])
def test_times_are_written_as_people_do(count, last):
    ticks = timelines(points(count)[:: -(-count // 1000)] + points(count)[-1:], 0.3)[0].time_ticks
    assert ticks[-1][1] == last and 2 <= len(ticks) <= 13 and ticks[0][0] == 0
