# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""VSPW's layout."""

import cv2
import numpy as np
import pytest

from dcfm_ros.sources.classes import VSPW124
from dcfm_ros.sources.clips import open_clips
from dcfm_ros.sources.errors import SourceError


@pytest.fixture
def vspw(tree):
    """Two videos in val, of 3 and 2 frames, and one in test without masks."""
    tree.text("val.txt", "12_street\n7_kitchen\n\n")
    tree.text("test.txt", "9_secret\n")
    for video, numbers in (("12_street", (9, 10, 11)), ("7_kitchen", (1, 2)), ("9_secret", (5, 6))):
        for number in numbers:
            tree.image(f"data/{video}/origin/{number:08d}.jpg", number * 10)
            if video != "9_secret":
                tree.label(f"data/{video}/mask/{number:08d}.png", number)
    return tree


def test_videos_are_clips_in_the_order_of_the_list(vspw):
    clips = open_clips(vspw.root)
    assert (clips.name, clips.classes) == ("vspw val", VSPW124)
    assert "non-commercial" in clips.terms and "\n" not in clips.terms
    assert [(clip.name, clip.length, clip.rate_hz, list(clip.labelled)) for clip in clips.clips] == [
        ("12_street", 3, 15.0, [0, 1, 2]),
        ("7_kitchen", 2, 15.0, [0, 1]),
    ]
    street = clips.clips[0]
    assert [round(street.image(i).mean(), -1) for i in range(3)] == [90, 100, 110]
    assert street.image(0).shape == (24, 32, 3)


def test_label_files_count_from_1(vspw):
    values = np.arange(24 * 32, dtype=np.uint16).reshape(24, 32) % 256
    cv2.imwrite(str(vspw.root / "data/12_street/mask/00000009.png"), values.astype(np.uint8))
    label = open_clips(vspw.root).clips[0].label(0)
    assert label.dtype == np.uint8
    for value, expected in ((0, 255), (1, 0), (2, 1), (124, 123), (125, 255), (254, 255), (255, 255)):
        assert (label[values == value] == expected).all()


def test_test_videos_may_have_no_masks(vspw):
    clip = open_clips(vspw.root, "test").clips[0]
    assert (clip.length, list(clip.labelled)) == (2, [])
    assert clip.image(1).shape == (24, 32, 3)
    with pytest.raises(SourceError, match="frame 1 of 9_secret, 00000006.jpg, has no label"):
        clip.label(1)


def test_other_splits_may_not(vspw):
    vspw.text("val.txt", "9_secret")
    with pytest.raises(
        SourceError, match="vspw val lacks 2 file.*9_secret/mask/00000005.png, .*secret/mask/00000006.png;"
    ):
        open_clips(vspw.root)


def test_missing_files_of_all_videos_are_reported_at_once(vspw):
    vspw.remove("data/12_street/mask/00000010.png")
    vspw.remove("data/7_kitchen/origin/00000002.jpg")
    vspw.text("val.txt", "12_street\n7_kitchen\nnowhere\nnothing")
    with pytest.raises(
        SourceError,
        match=(
            "vspw val lacks 4 file.*: .*12_street/mask/00000010.png, .*7_kitchen/origin/00000002.jpg, "
            r".*nowhere/origin/\*.jpg and 1 more; add them"
        ),
    ):
        open_clips(vspw.root)


@pytest.mark.parametrize(
    "split, text, message",
    [
        (
            "train",
            None,
            "train.txt is missing; it lists the videos of a split. Splits that are there: test, val",
        ),
        ("val", " \n", "val.txt lists no videos; give one name a line"),
        ("val", "a\nb\na\n", "val.txt lists a twice; name each video once"),
    ],
)
def test_bad_lists_are_refused(vspw, split, text, message):
    if text is not None:
        vspw.text(f"{split}.txt", text)
    with pytest.raises(SourceError, match=message):
        open_clips(vspw.root, split)
