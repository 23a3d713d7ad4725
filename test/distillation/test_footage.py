# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Footage: recordings, videos, folders of images and data sets, all read in the same way."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from bags_helpers import drive, write_bag

from dcfm_ros.bags.errors import BagError
from dcfm_ros.distillation.footage import all_footage


def open_footage(paths, topics=()):
    return all_footage(paths, Path("nowhere"), topics)


def write_images(folder, count=4, values=None):
    folder.mkdir(parents=True)
    for number in range(count):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((64, 96, 3), 20 * number, np.uint8))
    return folder


def test_a_recording_has_a_footage_for_each_camera(tmp_path):
    bag = write_bag(tmp_path / "drive", 12, ["/front/image_raw", "/rear/image_raw"], encoding="bgr8")
    front, rear = open_footage([str(bag)])
    assert (front.name, rear.name) == ("drive_front", "drive_rear")
    assert front.length == 12 and front.rate_hz == pytest.approx(15, rel=0.1)
    found = dict(rear.frames(frozenset({3, 7})))
    shown = drive(12, seed=1)
    assert sorted(found) == [3, 7] and np.array_equal(found[7], shown[7])  # RGB
    (only,) = open_footage([str(bag)], ["/rear/image_raw"])
    assert np.array_equal(dict(only.frames(frozenset({7})))[7], shown[7])


def test_damaged_images_of_a_recording_are_left_out(tmp_path):
    bag = write_bag(tmp_path / "drive", 10, corrupt=[4])
    (footage,) = open_footage([str(bag)])
    assert [index for index, _ in footage.frames({3, 4, 5})] == [3, 5]


def test_a_folder_of_recordings_and_a_glob(tmp_path):
    for name in "ab":
        write_bag(tmp_path / "drives" / name, 3)
    assert len(open_footage([str(tmp_path / "drives")])) == 2
    assert len(open_footage([str(tmp_path / "drives" / "*")])) == 2


def test_a_folder_of_images_is_a_video_and_a_data_folder_its_clips(tmp_path):
    folder = write_images(tmp_path / "images")
    (video,) = open_footage([str(folder)])
    assert (video.length, video.rate_hz) == (4, 15.0)
    assert [(index, picture[0, 0, 0]) for index, picture in video.frames([1, 3])] == [(1, 20), (3, 60)]
    (tmp_path / "data" / "train").mkdir(parents=True)
    folder.rename(tmp_path / "data" / "train" / "images")
    (tmp_path / "data" / "classes.yaml").write_text(
        "classes: [{name: a, color: [0, 0, 0]}]\nvideo: {rate_hz: 10}\n"
    )
    (clip,) = open_footage([str(tmp_path / "data")])
    assert (clip.length, clip.rate_hz) == (4, 10.0)


def test_a_video_file(tmp_path):
    path = str(tmp_path / "drive.avi")
    writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"MJPG"), 10.0, (96, 64))
    for picture in drive(5):
        writer.write(picture[..., ::-1].copy())
    writer.release()
    (footage,) = open_footage([path])
    assert (footage.name, footage.length, footage.rate_hz) == ("drive", 5, 10.0)
    ((index, picture),) = footage.frames([2])
    assert index == 2 and np.abs(picture.astype(int) - drive(5)[2]).mean() < 10


def test_scenes_that_are_rendered():
    footage = open_footage(["synthetic:3-4"])
    first = footage[0]
    assert len(footage) == 2
    assert first.name == "synthetic 3" and first.length == 75
    ((_, picture),) = first.frames([5])
    assert picture.shape == (360, 480, 3)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda path: path, "nothing found"),
        (lambda path: write_bag(path, 3, [], extra=["/chatter"]), "camera"),
        (lambda path: path.mkdir(), "no recording found"),
    ],
)
def test_data_without_images(tmp_path, make, message):
    path = tmp_path / "data"
    make(path)
    with pytest.raises(BagError, match=message):
        open_footage([str(path)])
