# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""CamVid's layout, in miniature and, where it lies beside the repository, the real one."""

from pathlib import Path

import numpy as np
import pytest

from dcfm_ros.sources.classes import STREET11
from dcfm_ros.sources.clips import open_clips
from dcfm_ros.sources.errors import SourceError

CAMVID = Path(__file__).parents[3].parent / "shared" / "camvid"


def write(tree, split, *stems):
    for number, stem in enumerate(stems):
        tree.image(f"{split}/images/{stem}.jpg", 10 * number)
        tree.label(f"{split}/labels/{stem}.png", number)


def test_numbers_say_what_is_video_and_what_are_stills(tree):
    write(
        tree,
        "any",
        "0016E5_07959",
        "0016E5_07961",
        "0016E5_07963",
        "0016E5_07967",
        "0016E5_07997",
        "0006R0_f01440",
        "0006R0_f01442",
        "0001TP_006690",
        "0001TP_006720",
        "Seq05VD_f00000",
    )
    clips = open_clips(tree.root, "any")
    assert (clips.name, clips.classes) == ("camvid any", STREET11)
    assert "Brostow, Fauqueur and Cipolla" in clips.terms
    assert [(clip.name, clip.length) for clip in clips.clips] == [
        ("0001TP_006690", 1),
        ("0001TP_006720", 1),
        ("0006R0_f01440", 2),
        ("0016E5_07959", 3),
        ("0016E5_07967", 1),
        ("0016E5_07997", 1),
        ("Seq05VD_f00000", 1),
    ]
    video = clips.clips[3]
    assert (video.rate_hz, list(video.labelled)) == (15.0, [0, 1, 2])
    assert [round(video.image(i).mean(), -1) for i in range(3)] == [0, 10, 20]
    assert [video.label(i)[1, 0] for i in range(3)] == [0, 1, 2]


def test_missing_labels_and_images_are_named(tree):
    write(tree, "val", *(f"0016E5_{number:05d}" for number in range(0, 20, 2)))
    for number in (4, 8):
        tree.remove(f"val/labels/0016E5_{number:05d}.png")
    tree.remove("val/images/0016E5_00002.jpg")
    with pytest.raises(
        SourceError,
        match=(
            "camvid val lacks 3 file.*val/labels/0016E5_00004.png, .*val/labels/0016E5_00008.png, "
            ".*val/images/0016E5_00002.jpg; add them"
        ),
    ):
        open_clips(tree.root, kind="camvid")


def test_bad_trees_are_refused(tree):
    write(tree, "val", "0016E5_07959")
    with pytest.raises(SourceError, match="no images in .*train/images; .*Splits that are there: val"):
        open_clips(tree.root, "train")
    (tree.root / "test" / "images").mkdir(parents=True)
    with pytest.raises(
        SourceError, match="no images in .*test/images; expected files such as 0016E5_07959.jpg"
    ):
        open_clips(tree.root, "test", kind="camvid")
    write(tree, "val", "holiday_1")
    with pytest.raises(
        SourceError, match="holiday_1.jpg is not named as in CamVid; expected <drive>_<frame>.jpg"
    ):
        open_clips(tree.root, kind="camvid")


def test_labels_with_more_classes_are_refused(tree):
    write(tree, "val", "0016E5_00000")
    tree.label("val/labels/0016E5_00000.png", 11)
    with pytest.raises(
        SourceError,
        match=(
            "label .*0016E5_00000.png holds 11 at row 1, column 0, but there are 11 classes; use 0 to 10, or "
            "255"
        ),
    ):
        open_clips(tree.root).clips[0].label(0)


@pytest.mark.skipif(not CAMVID.is_dir(), reason="there is no ../shared/camvid beside the repository")
def test_the_real_one():
    val, train = open_clips(str(CAMVID), "val"), open_clips(str(CAMVID), "train")
    assert [(clip.name, clip.length, len(clip.labelled)) for clip in val.clips] == [
        ("0016E5_07959", 101, 101)
    ]
    assert len(train.clips) == 367 and {clip.length for clip in train.clips} == {1}  # stills, a second apart
    assert sum(clip.name.startswith("0016E5") for clip in train.clips) == 204
    for clip, index in ((val.clips[0], 100), (train.clips[0], 0)):
        image, label = clip.image(index), clip.label(index)
        assert image.shape == (360, 480, 3) and image.dtype == label.dtype == np.uint8
        assert label.shape == (360, 480) and 0.5 < np.isin(label, range(11)).mean() <= 1
    # Road lies below and sky above: neither the order of channels nor that of classes is turned round.
    road = val.clips[0].label(0) == 3
    assert np.argwhere(road)[:, 0].mean() > 180 and 0.2 < road.mean() < 0.5
