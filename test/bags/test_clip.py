# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A recording's camera as a clip, and calibration on it."""

import json

import numpy as np
import pytest
from bags_helpers import drive, write_bag

from dcfm_ros.bags.clip import camera_clips
from dcfm_ros.bags.errors import BagError
from dcfm_ros.cli import main
from dcfm_ros.sources.errors import SourceError


def test_images_come_in_any_order(tmp_path):
    (clip,) = camera_clips(write_bag(tmp_path / "drive", 8, encoding="bgr8"))
    shown = drive(8)
    assert (clip.name, clip.length) == ("drive", 8)
    assert clip.rate_hz == pytest.approx(15, rel=0.15)
    for index in (0, 3, 3, 7, 1):
        assert np.array_equal(clip.image(index), shown[index])
    with pytest.raises(SourceError, match="frame 2 of drive has no label"):
        clip.label(2)


def test_the_image_before_stands_for_a_damaged_one(tmp_path):
    (clip,) = camera_clips(write_bag(tmp_path / "drive", 6, corrupt=[0, 3]))
    shown = drive(6)
    assert [int(np.abs(clip.image(i).astype(int) - shown[j]).sum()) for i, j in ((0, 1), (3, 2), (4, 4))] == [
        0,
        0,
        0,
    ]


def test_a_camera_without_a_good_image(tmp_path):
    (clip,) = camera_clips(write_bag(tmp_path / "drive", 6, ["/other/image_raw"], corrupt=[0, 1, 2, 3, 4, 5]))
    with pytest.raises(BagError, match="none of the images of drive can be used"):
        clip.image(0)


@pytest.mark.slow
def test_calibration_on_a_recording(tmp_path, capsys):
    bag = write_bag(tmp_path / "drive", 40, motion=0.5)
    assert main(["calibrate", str(bag), "--keyframe-hz", "2", "--json", str(tmp_path / "found.json")]) == 0
    report = json.loads((tmp_path / "found.json").read_text())
    assert report["frames"] == 40 and report["threshold"] > 0
    assert report["keyframe_hz"] == pytest.approx(2, abs=1.5)
