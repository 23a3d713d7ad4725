# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which data set a folder is."""

import os
import pickle

import pytest

from dcfm_ros.sources.clips import ClipSet, open_clips
from dcfm_ros.sources.errors import SourceError

CLASSES = "classes: [{name: floor, color: [1, 2, 3]}]"


@pytest.fixture
def camvid(tree):
    tree.image("val/images/0016E5_07959.jpg")
    tree.label("val/labels/0016E5_07959.png")
    return tree


def test_a_kind_that_is_named_is_not_looked_for(camvid):
    assert open_clips(camvid.root).name == open_clips(camvid.root, kind="camvid").name == "camvid val"
    for kind, message in (
        ("vspw", "val.txt is missing"),
        ("cityscapes", "no images of a split val"),
        ("folder", "there is no .*classes.yaml"),
        ("synthetic", "names no synthetic scenes"),
    ):
        with pytest.raises(SourceError, match=message):
            open_clips(camvid.root, kind=kind)


def test_own_classes_make_it_the_users_own(camvid):
    camvid.text("classes.yaml", CLASSES)
    assert open_clips(camvid.root).name == "data_set val"


def test_folders_that_fit_several_kinds_are_refused(camvid):
    camvid.text("leftImg8bit/val/notes.txt", "")
    with pytest.raises(SourceError, match="data_set could be cityscapes or camvid; say which with kind"):
        open_clips(camvid.root)
    assert open_clips(camvid.root, kind="camvid").name == "camvid val"


@pytest.mark.parametrize(
    "files, message",
    [
        ([], "data_set has no known layout; expected VSPW .*, Cityscapes .*, CamVid .* or your own"),
        (
            ["val/images/a.jpg"],
            "data_set has images but no classes.yaml, so its labels could mean anything; write one",
        ),
        (["images/a.jpg", "labels/a.png"], "has images but no classes.yaml"),
        (["val/images/0016E5_07959.jpg", "val/images/a.jpg"], "has images but no classes.yaml"),
    ],
)
def test_folders_that_fit_none_are_refused(tree, files, message):
    tree.root.mkdir()
    for path in files:
        tree.text(path, "")
    with pytest.raises(SourceError, match=message):
        open_clips(tree.root)


@pytest.mark.parametrize(
    "options, message",
    [
        (
            {"source": "nowhere"},
            "there is no folder nowhere; give the folder of a data set or synthetic:SEED",
        ),
        (
            {"source": ".", "kind": "coco"},
            "kind is coco; give one of auto, vspw, cityscapes, camvid, soft_labels, folder, synthetic",
        ),
        ({"source": ".", "split": ""}, "split is ''; give its name, such as train or val"),
        ({"source": ".", "split": "../val"}, "split is '../val'"),
    ],
)
def test_bad_requests_are_refused(options, message):
    with pytest.raises(SourceError, match=message):
        open_clips(**options)


def test_a_folder_may_be_called_synthetic(camvid, monkeypatch):
    monkeypatch.chdir(camvid.root.parent)
    os.rename(camvid.root, "synthetic")
    assert open_clips("./synthetic").name == "camvid val"
    assert open_clips("synthetic").name == "synthetic 1000"


def test_no_file_is_opened_before_it_is_asked_for(camvid):
    (camvid.root / "val/images/0016E5_07959.jpg").write_bytes(b"no picture")
    (clip,) = open_clips(camvid.root).clips
    with pytest.raises(SourceError, match="0016E5_07959.jpg cannot be read as an image"):
        clip.image(0)


def test_clips_of_files_can_be_sent_to_other_processes(camvid):
    (clip,) = pickle.loads(pickle.dumps(open_clips(camvid.root))).clips
    assert clip.image(0).shape == (24, 32, 3)


def test_a_set_without_clips_is_refused():
    with pytest.raises(
        SourceError, match="empty val holds no frames; give a folder or a split that has some"
    ):
        ClipSet("empty val", (("floor", (1, 2, 3)),), (), "terms")
