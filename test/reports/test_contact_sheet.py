# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The picture of a run: complete, inside its margins, and for odd runs too."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from dcfm_ros.reports.contact_sheet import (
    AGE,
    MARGIN,
    SCORE,
    WIDTH,
    Tile,
    Timeline,
    contact_sheet,
    draw_sheet,
)
from dcfm_ros.reports.reason_colors import REASONS

LEGEND = [("road", (128, 64, 128)), ("traffic light", (250, 170, 30)), ("sky", (70, 130, 180))]


def timeline(n=100, reasons=("first",), threshold=0.4, cuts=(), score=0.2):
    keyframes = [(i * n // len(reasons), reason) for i, reason in enumerate(reasons)]
    return Timeline(np.full(n, score), threshold, keyframes, list(cuts), np.arange(n) % 5)


def tiles(count, height=36, width=48, **options):
    return [
        Tile(np.full((height, width, 3), (10, 200, 10 * i), np.uint8), i, **options) for i in range(count)
    ]


def has(sheet, color):
    return bool((abs(sheet.astype(int) - np.array(color)) <= 2).all(-1).any())


@pytest.mark.slow
def test_the_sheet_holds_everything():
    sheet = contact_sheet(tiles(12), LEGEND, timeline(), "a run")
    assert sheet.shape[1:] == (WIDTH, 3) and sheet.dtype == np.uint8
    for number in range(12):
        assert has(sheet, (10, 200, 10 * number))
    lines = [np.rint(255 * np.array(to_rgb(color))) for color in (SCORE, AGE)]
    for color in (*(color for _, color in LEGEND), *lines, REASONS["first"]):
        assert has(sheet, color)


def test_tiles_stand_in_reading_order():
    sheet = contact_sheet(tiles(5), LEGEND, timeline(), "a run")
    places = [np.argwhere((sheet == (10, 200, 10 * i)).all(-1)).mean(0) for i in range(5)]
    assert [y for y, _ in places[:4]] == [places[0][0]] * 4  # four in the first row
    assert [x for _, x in places[:4]] == sorted(x for _, x in places[:4])
    assert places[4][0] > places[0][0] and places[4][1] == places[0][1]


def test_keyframes_are_framed_in_the_colour_of_their_reason():
    plain = contact_sheet(tiles(4, age=3), LEGEND, timeline(reasons=()), "a run")
    assert not has(plain, REASONS["deviation"])
    for reason in REASONS:
        assert has(
            contact_sheet(tiles(4, reason=reason), LEGEND, timeline(reasons=()), "a run"), REASONS[reason]
        )


@pytest.mark.parametrize(
    "options, note",
    [
        (dict(age=3, motion_px=17.4), "feature 3 frames old, moved 17 px"),
        (dict(age=1, motion_px=0.6), "feature 1 frame old, moved 1 px"),
        (dict(age=3), "feature 3 frames old"),
        (dict(age=0), "feature 0 frames old"),
        (dict(), "no mask"),
        (dict(age=0, reason="interval"), "keyframe: interval"),
    ],
)
def test_tiles_say_what_their_masks_are_made_of(options, note):
    """A per-frame model's feature has neither age nor motion."""
    figure = draw_sheet(tiles(2, **options), LEGEND, timeline(), "a run")
    assert [text.get_text() for text in figure.texts].count(note) == 2


@pytest.mark.parametrize(
    "count, legend, run, title",
    [
        (1, [], timeline(1), ""),
        (3, LEGEND, timeline(2), "short"),
        (13, LEGEND, timeline(5000, tuple(REASONS) * 40, cuts=range(10, 5000, 100)), "long " * 60),
        (
            12,
            [(f"some rather long class {i}", (i, 9 * i % 256, 90)) for i in range(124)],
            timeline(300, (*REASONS, "not a known reason"), cuts=[7]),
            "many classes",
        ),
        (4, LEGEND, timeline(50, threshold=None, score=np.nan), "fixed interval"),
        (4, LEGEND, timeline(50, threshold=0.001, score=1e6), "scores far beyond the threshold"),
        (4, LEGEND, timeline(50, threshold=0.0, score=0.0), "all zero"),
        (4, LEGEND, Timeline([np.nan, 0.3, np.nan], 0.4, [], [], [np.nan] * 3), "nearly nothing known"),
    ],
)
def test_any_run_stays_inside_the_margins(count, legend, run, title):
    sheet = contact_sheet(tiles(count), legend, run, title)
    edge = MARGIN - 14  # room for half a tick label
    assert (sheet[:, :edge] == 255).all() and (sheet[:, -edge:] == 255).all()
    assert (sheet[:10] == 255).all() and (sheet[-6:] == 255).all()


def test_frames_of_different_shapes_keep_theirs():
    wide = Tile(np.full((18, 48, 3), (1, 2, 3), np.uint8), 0)
    sheet = contact_sheet([wide, *tiles(3)], LEGEND, timeline(), "a run")
    y, x = np.nonzero((sheet == (1, 2, 3)).all(-1))
    assert np.ptp(x) / np.ptp(y) == pytest.approx(48 / 18, rel=0.02)


def test_bad_tiles_are_refused():
    with pytest.raises(ValueError, match="no tiles; give at least one frame"):
        contact_sheet([], LEGEND, timeline(), "a run")
    with pytest.raises(
        ValueError, match=r"tile of frame 7 has shape \(4, 4\) and type uint8; give \(H, W, 3\)"
    ):
        contact_sheet([Tile(np.zeros((4, 4), np.uint8), 7)], LEGEND, timeline(), "a run")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"score": [], "age": []}, "the timeline is empty"),
        ({"age": [0]}, "3 scores but 1 ages; give both for every frame"),
        ({"cuts": [3]}, "3 frames; there is no frame 3 to mark"),
        ({"keyframes": [(-1, "first")]}, "no frame -1"),
    ],
)
def test_bad_timelines_are_refused(change, message):
    good = {"score": [0, 0, 0], "threshold": 0.4, "keyframes": [], "cuts": [], "age": [0, 1, 2]}
    with pytest.raises(ValueError, match=message):
        Timeline(**good | change)
