# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A user's own folder with classes.yaml."""

import numpy as np
import pytest

from dcfm_ros.sources.clips import open_clips
from dcfm_ros.sources.errors import SourceError

CLASSES = "classes:\n- {name: floor, color: [1, 2, 3]}\n- {name: shelf, color: [4, 5, 6]}\n"


def write(tree, folder=".", names=("f2", "f10", "f1"), labels=None, part=""):
    """Images, and labels for all of them or for those in `labels`."""
    for number, name in enumerate(names):
        tree.image(f"{folder}/images{part}/{name}.png", 10 * number)
        if labels is None or name in labels:
            tree.label(f"{folder}/labels{part}/{name}.png", number % 2)


def test_stills(tree):
    tree.text("classes.yaml", CLASSES)
    write(tree)
    clips = open_clips(tree.root, "train")
    assert (clips.name, clips.terms) == ("data_set (no splits)", "own data, terms not stated")
    assert clips.classes == (("floor", (1, 2, 3)), ("shelf", (4, 5, 6)))
    assert [(clip.name, clip.length, list(clip.labelled)) for clip in clips.clips] == [
        ("f1", 1, [0]),
        ("f2", 1, [0]),
        ("f10", 1, [0]),
    ]
    assert [int(clip.image(0)[0, 0, 0]) for clip in clips.clips] == [20, 0, 10]
    assert [int(clip.label(0)[1, 0]) for clip in clips.clips] == [0, 0, 1]


def test_video_in_splits_with_some_labels(tree):
    tree.text("classes.yaml", CLASSES + "video: {rate_hz: 12}\nterms: >\n  Own data,\n  for internal use\n")
    write(tree, "train")
    write(tree, "val", labels=["f10"])
    clips = open_clips(tree.root)
    assert (clips.name, clips.terms) == ("data_set val", "Own data, for internal use")
    (clip,) = clips.clips
    assert (clip.name, clip.length, clip.rate_hz, list(clip.labelled)) == ("data_set", 3, 12.0, [2])
    assert [int(clip.image(i)[0, 0, 0]) for i in range(3)] == [20, 0, 10]
    assert clip.label(2)[1, 0] == 1
    with pytest.raises(SourceError, match="frame 0 of data_set, f1.png, has no label"):
        clip.label(0)
    for index in (-1, 3):
        for read in (clip.image, clip.label):
            with pytest.raises(SourceError, match=f"no frame {index} in data_set; it has 3, counted from 0"):
                read(index)


def test_names_in_capitals_are_read_as_they_are_written(tree):
    tree.text("classes.yaml", CLASSES)
    tree.image("images/A.PNG", 30)
    tree.label("labels/A.png", 1)
    (tree.root / "labels" / "A.png").rename(tree.root / "labels" / "A.PNG")
    (clip,) = open_clips(tree.root).clips
    assert clip.labels == ("A.PNG",) and clip.label(0)[1, 0] == 1 and clip.image(0)[0, 0, 0] == 30


def test_sub_folders_are_clips_of_their_own(tree):
    tree.text("classes.yaml", CLASSES + "video: {rate_hz: 12.5}\n")
    write(tree, part="/drive10", names=("0", "1"))
    write(tree, part="/drive9", names=("0",), labels=[])
    clips = open_clips(tree.root).clips
    assert [(clip.name, clip.length, list(clip.labelled)) for clip in clips] == [
        ("drive9", 1, []),
        ("drive10", 2, [0, 1]),
    ]
    tree.text("classes.yaml", CLASSES)
    tree.label("labels/drive9/0.png")
    assert [(clip.name, clip.length) for clip in open_clips(tree.root).clips] == [
        ("drive9/0", 1),
        ("drive10/0", 1),
        ("drive10/1", 1),
    ]


def test_video_needs_no_labels_at_all(tree):
    tree.text("classes.yaml", CLASSES + "video: {rate_hz: 15}\n")
    write(tree, labels=[])
    assert list(open_clips(tree.root).clips[0].labelled) == []


def test_another_value_may_be_ignored(tree):
    tree.text("classes.yaml", CLASSES + "ignore: 7\n")
    write(tree, names=("a",))
    tree.label("labels/a.png", 7)
    assert (open_clips(tree.root).clips[0].label(0) == 255).all()  # 255 never is a class
    tree.label("labels/a.png", 6)
    with pytest.raises(
        SourceError, match="a.png holds 6 at row 1, column 0, but there are 2 classes; use 0 to 1, or 255"
    ):
        open_clips(tree.root).clips[0].label(0)


def test_unreadable_and_wrong_sized_files_are_named_when_read(tree):
    tree.text("classes.yaml", CLASSES)
    write(tree, names=("a", "b", "c"))
    tree.label("labels/a.png", 0, (12, 16))
    (tree.root / "labels/b.png").write_bytes(b"no picture")
    (tree.root / "images/c.png").write_bytes(b"no picture")
    a, b, c = open_clips(tree.root).clips
    with pytest.raises(
        SourceError, match="labels/a.png is 16x12 but its image 32x24: make both the same size"
    ):
        a.label(0)
    with pytest.raises(SourceError, match="labels/b.png cannot be read as a PNG"):
        b.label(0)
    for read in (c.image, c.label):
        with pytest.raises(SourceError, match="images/c.png cannot be read as an image"):
            read(0)


@pytest.mark.parametrize(
    "yaml, labels, message",
    [
        ("", ["f2"], "data_set .no splits. lacks 2 file.*/labels/f1.png, .*/labels/f10.png; add them"),
        ("", [], "lacks 3 file"),
        ("", ["f1", "f2", "f10", "f3"], "lacks 1 file.*/images/f3.png;"),
        ("video: {rate_hz: 15}", ["f1", "x/f1"], "lacks 1 file.*/images/x/f1.jpg;"),
    ],
)
def test_missing_files_are_named(tree, yaml, labels, message):
    tree.text("classes.yaml", CLASSES + yaml)
    write(tree, labels=[])
    for name in labels:
        tree.label(f"labels/{name}.png")
    with pytest.raises(SourceError, match=message):
        open_clips(tree.root)


def test_labels_of_another_format_are_noticed(tree):
    tree.text("classes.yaml", CLASSES + "video: {rate_hz: 15}\n")
    write(tree, labels=[])
    tree.label("labels/f1.bmp")
    with pytest.raises(
        SourceError, match="no image in .*images has a label in .*labels; expected, for example, f1.png"
    ):
        open_clips(tree.root)


@pytest.mark.parametrize(
    "files, message",
    [
        ([], "no split val in .*val/images. Splits that are there: none"),
        (["images/notes.txt"], "no images in .*data_set/images; expected files ending in .jpg"),
        (
            ["images/a.png", "val/images/a.png"],
            "has images/ and also the splits val; keep one of the two layouts",
        ),
        (
            ["train/images/a.png", "dev/images/a.png"],
            "no split val in .*val/images. Splits that are there: dev, train",
        ),
        (["images/a.png", "images/x/a.png"], "images has both images and sub-folders, x for one"),
        (["images/x/notes.txt"], "no images in .*images/x; expected"),
        (["images/a.png", "images/a.jpg"], "several images named a; rename them, since they share a label"),
    ],
)
def test_bad_trees_are_refused(tree, files, message):
    tree.text("classes.yaml", CLASSES)
    for path in files:
        tree.text(path, "")
    with pytest.raises(SourceError, match=message):
        open_clips(tree.root)


@pytest.mark.parametrize(
    "text, message",
    [
        ("classes: [", "classes.yaml cannot be read as YAML: line 2, column 1: did not find expected node"),
        ("just text", "the file must have keys of classes, ignore, video, terms, labels, but is 'just text'"),
        ("ignore: 255", "classes must be a list of 1 to 255, the first that of label value 0"),
        ("classes: []", "classes must be a list of 1 to 255"),
        ("classes: [road]", "class 0 must have keys of name, color, values, but is 'road'"),
        (
            "classes: [{name: a, color: [0, 0, 0], id: 3}]",
            "class 0 has the unknown key id; known are name, color",
        ),
        ("classes: [{color: [0, 0, 0]}]", "class 0 is named None"),
        (
            "classes: [{name: no, color: [0, 0, 0]}]",
            "class 0 is named False; give a name, in quotes where YAML sees no text",
        ),
        (
            "classes: [{name: a, color: [0, 0, 256]}]",
            r"the color of class 0 a is \[0, 0, 256\]; give red, green and blue",
        ),
        ("classes: [{name: a, color: red}]", "the color of class 0 a is 'red'"),
        ("classes: [{name: a, color: [0, 0, 0]}, {name: a, color: [1, 0, 0]}]", "two classes are called a"),
        (
            CLASSES + "ignored: 255",
            "the file has the unknown key ignored; known are classes, ignore, video, terms",
        ),
        (CLASSES + "ignore: 1", "ignore is 1; give a label value that no class has, 2 to 255"),
        (CLASSES + "ignore: none", "ignore is none"),
        (CLASSES + "video: 15", "video must have keys of rate_hz, but is 15"),
        (CLASSES + "video: {rate: 15}", "video has the unknown key rate; known are rate_hz"),
        (CLASSES + "video: {rate_hz: 0}", "rate_hz of video is 0; give the images per second, above 0"),
        (CLASSES + "video: {rate_hz: .nan}", "rate_hz of video is nan"),
        (CLASSES + "video: {}", "rate_hz of video is None"),
        (
            CLASSES + "terms: 5",
            "terms is 5; give source and terms of use of the data as text, or leave it out",
        ),
    ],
)
def test_bad_descriptions_are_refused(tree, text, message):
    tree.text("classes.yaml", text)
    write(tree)
    with pytest.raises(SourceError, match=message):
        open_clips(tree.root)


def test_the_description_must_be_there(tree):
    write(tree)
    with pytest.raises(SourceError, match="there is no .*classes.yaml; write one as docs/datasets.md shows"):
        open_clips(tree.root, kind="folder")


def test_hidden_files_do_not_count(tree):
    tree.text("classes.yaml", CLASSES)
    write(tree, names=("a",))
    tree.text("images/._a.png", "")
    tree.text("labels/._b.png", "")
    (clip,) = open_clips(tree.root).clips
    assert np.array_equal(clip.label(0)[1], np.zeros(32))
