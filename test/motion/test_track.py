# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The motion of a camera over many frames: maps that add up, what is forgotten, and what is not taken for
motion."""

import numpy as np
import pytest

from dcfm_ros.motion.maps import composed, explains, moved
from dcfm_ros.motion.track import Motion, MotionKind, MotionTrack

NETWORK, SMALL, LEAST = (352, 480), (64, 96), (32, 32)


def tracked(images, needed=(0,), **options):
    """A track of images, numbered from 0."""
    track = MotionTrack(**options)
    for index, image in enumerate(images):
        track.add(image, index, needed)
    return track


def median(motion, inner, cells=6):
    return np.median(inner(motion.map, cells), axis=(0, 1))


@pytest.fixture
def drive(seen):
    """`drive(frames, step, size=SMALL, noise=0.0)`: pictures of a camera that moves by `step` pixels (x, y) a
    frame."""
    return lambda frames, step, size=SMALL, noise=0.0: [
        seen(size, (step[0] * index, step[1] * index), noise, seed=index) for index in range(frames)
    ]


class Constant:
    """An estimator of one motion, in pixels of what it is given."""

    def __init__(self, x, y):
        self.offset = x, y

    def flow(self, here, there):
        return np.full((*here.shape, 2), self.offset, np.float32)


@pytest.mark.slow
@pytest.mark.parametrize(
    "size, step",
    [
        *((NETWORK, step) for step in ((3, 1), (-2.5, 0.5), (0, 4), (0.25, 0))),
        *((SMALL, step) for step in ((1.5, -0.5), (0, 1))),
    ],
)
@pytest.mark.parametrize("noise", [0, 3])
def test_flows_add_up_to_the_motion_of_many_frames(drive, inner, size, step, noise):
    """Those of a quarter of a pixel a frame, too. From the newer frame to the older, in cells of 4 pixels."""
    track = tracked(drive(9, step, size, noise))
    found = track.motion(8, 0)
    assert found.kind is MotionKind.FLOW and track.motion(8, 8) == Motion(MotionKind.STILL)
    error = np.abs(inner(found.map, 10 if size == NETWORK else 5) - np.float32(step) * 2)
    assert found.map.shape == (size[0] // 4, size[1] // 4, 2)
    assert error.mean() < 0.2 and np.quantile(error, 0.95) < 0.4


def test_frames_of_the_least_size(drive, inner):
    found = tracked(drive(5, (0.5, 1), LEAST)).motion(4, 0)
    assert found.map.shape == (8, 8, 2) and median(found, inner, 2) == pytest.approx([0.5, 1], abs=0.3)


@pytest.mark.parametrize("size", [NETWORK, SMALL])
@pytest.mark.parametrize("noise", [0, 3, 5])
def test_a_still_scene_is_still_whatever_the_sensor_adds(drive, size, noise):
    track = tracked(drive(9, (0, 0), size, noise), both_ways=True)
    assert {track.motion(*way) for way in ((8, 0), (0, 8), (8, 8))} == {Motion(MotionKind.STILL)}
    older, newest = track.pictures(0)
    assert np.abs(older.astype(int) - newest).mean() <= noise


def test_back_is_the_inverse_of_forth(drive, inner):
    track = tracked(drive(7, (3, -1.5), NETWORK), both_ways=True)
    forth, back = track.motion(6, 0), track.motion(0, 6)
    assert median(forth, inner, 10) == pytest.approx([4.5, -2.25], abs=0.2)
    assert median(back, inner, 10) == pytest.approx([-4.5, 2.25], abs=0.2)
    for one, other in ((forth, back), (back, forth)):
        assert np.quantile(np.abs(inner(composed(one.map, other.map), 10)), 0.95) < 0.5


def test_the_newest_flow_comes_first_forth_and_last_back(seen, monkeypatch):
    """Of flows that are not alike, drawn by lot."""
    rng, image = np.random.default_rng(0), seen(LEAST)
    forth, back = rng.normal(0, 2, (2, 3, 8, 8, 2)).astype(np.float32)
    given = iter([flow for pair in zip(forth, back) for flow in pair])
    monkeypatch.setattr("dcfm_ros.motion.track.flow_map", lambda *_: next(given))
    monkeypatch.setattr("dcfm_ros.motion.track.flow_and_warped", lambda *_: (next(given), None))
    monkeypatch.setattr("dcfm_ros.motion.track.explains", lambda *_: True)
    found = tracked([image] * 4, both_ways=True)
    assert np.array_equal(found.motion(3, 0).map, composed(forth[2], composed(forth[1], forth[0])))
    assert np.array_equal(found.motion(0, 3).map, composed(composed(back[0], back[1]), back[2]))


def test_maps_to_frames_that_were_older_then_stay(drive):
    """As frames that wait for a second keyframe need them; the other way there are maps to the newest
    alone."""
    images = drive(7, (3, 0))
    track = tracked(images[:5], range(7), both_ways=True)
    wanted = track.motion(4, 1)
    for index in (5, 6):
        track.add(images[index], index, range(7))
    assert wanted.kind is MotionKind.FLOW and np.array_equal(track.motion(4, 1).map, wanted.map)
    assert track.motion(4, 6).kind is track.motion(6, 4).kind is MotionKind.FLOW
    assert track.motion(1, 4) == Motion()
    one_way = tracked(images, range(7))
    assert (
        one_way.motion(6, 4).kind is MotionKind.FLOW
        and one_way.motion(4, 6) == one_way.motion(4, 1) == Motion()
    )


@pytest.mark.parametrize("both_ways", [False, True])
def test_what_is_not_needed_is_forgotten(drive, both_ways):
    images, track = drive(4, (1, 0), LEAST), MotionTrack(both_ways=both_ways)
    for index in range(40):
        track.add(images[index % 4], index, {index - 1, index - 3, 5, 100})
        known = {other for other in range(45) if track.motion(index, other) != Motion()}
        # 3 before was not needed when 2 before
        assert known <= {index - 1, index, 5} and track.known == sorted(track.known)
        assert len(track.known) <= 3
    assert track.known == [5, 38, 39]
    assert track.motion(39, 100) == track.motion(2, 39) == track.motion(39, -1) == Motion()
    assert track.pictures(37) is None


def test_nothing_is_known_of_a_track_without_frames():
    assert MotionTrack().motion(0, 0) == Motion() == Motion(MotionKind.NONE, None)
    assert MotionTrack().pictures(0) is None


def test_a_frame_that_was_dropped_is_no_gap(drive, inner):
    track = MotionTrack()
    for index, image in enumerate(drive(9, (1.5, 0), NETWORK)):
        if index not in (3, 4, 7):
            track.add(image, index, {0})
    assert median(track.motion(8, 0), inner, 10) == pytest.approx([3, 0], abs=0.2)


def test_after_a_restart_there_is_nothing_to_align_across(drive, seen):
    images = drive(6, (2, 0))
    track = tracked(images[:3], range(3), both_ways=True)
    track.restart()
    assert (
        track.motion(2, 1) == track.motion(2, 2) == Motion()
        and track.pictures(2) is None
        and track.known == []
    )
    track.add(seen(NETWORK), 3, range(4))  # of another size
    track.add(seen(NETWORK, (8, 0)), 4, range(4))
    assert track.motion(4, 3).kind is MotionKind.FLOW
    for old in range(3):
        assert track.motion(4, old) == track.motion(old, 4) == track.motion(3, old) == Motion()


def test_across_a_cut_there_are_no_maps_and_those_of_the_shot_before_stay(drive, inner):
    images = drive(7, (2, 0))
    track = tracked(images[:4], range(7), both_ways=True)
    before = track.motion(2, 0)
    track.cut()
    assert track.motion(3, 3).kind is MotionKind.STILL and track.pictures(2) is None
    assert before.kind is MotionKind.FLOW and np.array_equal(track.motion(2, 0).map, before.map)
    for index in (4, 5, 6):
        track.add(images[index], index, range(7))
    for old in range(3):
        assert track.motion(6, old) == track.motion(old, 6) == track.motion(3, old) == Motion()
    assert median(track.motion(6, 3), inner) == pytest.approx([1.5, 0], abs=0.1)
    assert median(track.motion(3, 6), inner) == pytest.approx([-1.5, 0], abs=0.1)


def test_a_map_is_not_changed_by_later_frames(drive):
    images, track, held = drive(6, (2, 1)), MotionTrack(both_ways=True), []
    for index, image in enumerate(images):
        track.add(image, index, range(6))
        held += [
            found.map for found in (track.motion(index, 0), track.motion(0, index)) if found.map is not None
        ]
        if index == 2:
            copies = [motion.copy() for motion in held]
    assert len(held) == 10 and all(np.array_equal(one, other) for one, other in zip(held, copies))


def test_the_same_frames_give_the_same_maps(drive):
    images = drive(5, (2, 1), NETWORK, noise=4)
    one, other = (tracked(images, both_ways=True) for _ in range(2))
    for way in ((4, 0), (0, 4)):
        assert np.array_equal(one.motion(*way).map, other.motion(*way).map)


def test_estimators_are_replaceable(drive):
    """One who says 2 pixels of half the size, a cell, each frame; and one whose word explains nothing."""
    images = drive(4, (4, 0))
    assert (tracked(images, estimator=Constant(2, 0)).motion(3, 0).map == (3, 0)).all()
    assert tracked(images, estimator=Constant(-2, 0)).motion(3, 0) == Motion(MotionKind.STILL)


def test_pictures_are_brought_to_where_things_are_now(drive, inner):
    images = drive(4, (4, 0))
    track = tracked(images, estimator=Constant(2, 0))
    older, newest = track.pictures(0)
    assert older.shape == newest.shape == (16, 24, 3) and older.dtype == newest.dtype == np.uint8
    # 3 cells have come in from the right
    assert np.abs(older[:, :20].astype(int) - newest[:, :20]).max() <= 1
    assert np.array_equal(older[:, 20:], older[:, 20:21].repeat(4, 1))
    assert np.array_equal(newest, MotionTrack.pictures(tracked(images[3:]), 0)[1])
    before, now = track.newest_two()
    assert np.array_equal(now, newest) and np.abs(before[:, :23].astype(int) - now[:, :23]).max() <= 1
    assert np.array_equal(before[:, 23], before[:, 22])
    # nothing is known to have moved: all stays where it was
    wrong = tracked(images, estimator=Constant(-2, 0))
    assert np.array_equal(wrong.pictures(0)[0], tracked(images[:1]).pictures(0)[1])
    assert np.array_equal(wrong.newest_two()[0], tracked(images[:3]).pictures(2)[1])


def test_length_in_pixels_of_an_image():
    assert Motion(MotionKind.FLOW, np.full((88, 120, 2), (3, -4), np.float32)).pixels(
        (704, 960)
    ) == pytest.approx(40)
    assert Motion(MotionKind.FLOW, np.full((40, 296, 2), (0, 2), np.float32)).pixels(
        (1, 16384)
    ) == pytest.approx(0.05)  # of a strip
    assert Motion(MotionKind.STILL).pixels((704, 960)) == Motion().pixels((704, 960)) == 0.0


SPOILT = {
    "covered": lambda size, rng: np.zeros((*size, 3), np.uint8),
    "flash": lambda size, rng: np.full((*size, 3), 255, np.uint8),
    "noise": lambda size, rng: rng.integers(0, 256, (*size, 3), dtype=np.uint8),
}


def spoiled(images, what, at):
    rng = np.random.default_rng(7)
    return [
        SPOILT[what](image.shape[:2], rng) if index in at else image for index, image in enumerate(images)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("what", SPOILT)
@pytest.mark.parametrize("at", [(4,), (4, 5, 6), range(10)], ids=["one", "three", "all"])
@pytest.mark.parametrize("step", [(0, 0), (1, 0), (3, 0)], ids=["still", "slow", "fast"])
@pytest.mark.parametrize("size", [NETWORK, SMALL, LEAST])
def test_a_map_is_used_only_where_it_brings_pictures_nearer(drive, what, at, step, size):
    """Of noise, and across it, that is by chance and by little; it is all that is promised."""
    track = MotionTrack()
    for index, image in enumerate(spoiled(drive(10, step, size, noise=3), what, at)):
        track.add(image, index, {0})
        found = track.motion(index, 0)
        if found.map is not None:
            unmoved, newest = tracked([image]).pictures(0)[1], track.pictures(0)[1]
            assert np.array_equal(unmoved, newest) and np.isfinite(found.map).all()
            older = track._known[0].view.picture
            assert explains(newest, older, moved(older, found.map)) and np.array_equal(
                moved(older, found.map), track.pictures(0)[0]
            )


@pytest.mark.slow
@pytest.mark.parametrize("what", ["covered", "flash"])
@pytest.mark.parametrize("at", [(4,), (4, 5, 6)], ids=["one", "three"])
def test_what_passes_leaves_the_map_as_it_was_and_it_goes_on_from_there(drive, inner, what, at):
    """A frame of nothing has no motion, so what happened from the frame before to the frame after is not in
    the map."""
    track = MotionTrack()
    for index, image in enumerate(spoiled(drive(10, (1, 0), NETWORK, noise=3), what, at)):
        track.add(image, index, {0})
        if index in (3, 9):
            missed = len(at) + 1 if index == 9 else 0
            assert median(track.motion(index, 0), inner, 10) == pytest.approx(
                [(index - missed) / 4, 0], abs=0.2
            )
    still = tracked(spoiled(drive(10, (0, 0), NETWORK, noise=3), what, at))
    assert still.motion(9, 0) == Motion(MotionKind.STILL)
