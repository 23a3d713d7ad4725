# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The images of a benchmark."""

import itertools

import cv2
import numpy as np
import pytest
from evaluation_helpers import make_clip

from dcfm_ros.benchmark.scene import Scene, open_scene
from dcfm_ros.sources.errors import SourceError


def scene(length=4, rate_hz=10.0):
    return Scene([np.full((4, 4, 3), number, np.uint8) for number in range(length)], rate_hz)


def test_frames_go_to_and_fro_with_the_sources_stamps():
    frames = list(itertools.islice(scene().frames(), 9))
    assert [int(frame.image[0, 0, 0]) for frame in frames] == [0, 1, 2, 3, 2, 1, 0, 1, 2]
    assert [frame.stamp_ns for frame in frames] == [number * 100_000_000 for number in range(9)]


def test_paced_frames_wait_for_their_turn_and_late_ones_do_not_pile_up():
    now, slept = [0.0], []

    def sleep(seconds):
        slept.append(seconds)
        now[0] += seconds

    frames = scene().paced(10.0, clock=lambda: now[0], sleep=sleep)
    next(frames)
    now[0] += 0.03  # what the first frame takes
    next(frames)
    assert slept == pytest.approx([0.07])
    now[0] += 0.35  # longer than three periods: the next comes at once, the one after it a period later
    next(frames)
    next(frames)
    assert slept == pytest.approx([0.07, 0.1])


def test_the_synthetic_scene_is_one_shot_of_the_asked_size():
    found = open_scene("synthetic", (48, 64))
    assert found.size == (48, 64) and len(found.images) == 45 and found.rate_hz == 15.0


def write(folder, images):
    folder.mkdir()
    for number, image in enumerate(images):
        assert cv2.imwrite(str(folder / f"{number}.png"), image)
    return str(folder)


def test_a_scene_ends_before_a_hard_cut(tmp_path):
    first, second = make_clip(5, motion=1.0).images, make_clip(5, seed=1, motion=1.0).images
    found = open_scene(write(tmp_path / "cut", [*first, *(255 - image for image in second)]))
    assert len(found.images) == 5
    assert len(open_scene(write(tmp_path / "whole", first)).images) == 5


def test_one_frame_is_no_scene(tmp_path):
    source = write(tmp_path / "one", make_clip(1).images)
    with pytest.raises(
        SourceError, match=r"begins with 1 frame\(s\) of one shot; the benchmark needs a video of 2 or more"
    ):
        open_scene(source)
