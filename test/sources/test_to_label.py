# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""frames.json: what is written is read, and what is wrong with it is named."""

import json

import pytest

from dcfm_ros.sources.errors import SourceError
from dcfm_ros.sources.to_label import LabelFrame, ToLabel, is_to_label, read_to_label, write_to_label

CLASSES = (("road", (128, 64, 128)), ("shelf", (70, 70, 70)))
FRAME = LabelFrame(
    "images/drive_7.jpg",
    "prelabels/drive_7.png",
    "drive",
    "/camera/image_raw",
    7,
    96,
    64,
    1,
    ("neighbours/drive_7/000.jpg", "neighbours/drive_7/002.jpg"),
    {"rank": 1},
)


@pytest.fixture
def folder(tmp_path):
    for file in (FRAME.image, *FRAME.neighbours):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(b"")
    write_to_label(tmp_path, ToLabel(CLASSES, 12.5, (FRAME,), {"model": {"name": "street11"}}))
    return tmp_path


def test_what_is_written_is_read(folder):
    content = read_to_label(folder)
    assert is_to_label(folder) and not is_to_label(folder / "images")
    assert content == ToLabel(CLASSES, 12.5, (FRAME,), {"model": {"name": "street11"}})


def test_a_clip_of_a_frame():
    assert FRAME.clip_files() == {
        "000.jpg": "neighbours/drive_7/000.jpg",
        "001.jpg": "images/drive_7.jpg",
        "002.jpg": "neighbours/drive_7/002.jpg",
    }
    assert FRAME.label_name == "001.png"


@pytest.mark.parametrize(
    "name",
    [
        "drive_7",
        "drive_7.png",
        "drive_7.jpg",
        "images/drive_7.jpg",
        "C:\\x\\drive_7.jpg",
        "1a2b3c4d-drive_7.jpg",
    ],
)
def test_a_frame_by_the_names_of_annotation_tools(folder, name):
    assert read_to_label(folder).frame(name) == FRAME


def test_a_frame_that_is_none_of_them(folder):
    assert read_to_label(folder).frame("drive_8.jpg") is None


def test_no_folder_of_frames(tmp_path):
    with pytest.raises(SourceError, match=r"there is no .*frames.json: give a folder that `dcfm bag frames`"):
        read_to_label(tmp_path)


@pytest.mark.parametrize(
    "change, text",
    [
        (lambda plain: plain.update(format=2), "has the format 2, and this version reads 1"),
        (lambda plain: plain.pop("classes"), r"is damaged \(KeyError\('classes'\)\)"),
        (lambda plain: plain["frames"][0].update(more=1), "is damaged"),
    ],
)
def test_content_that_cannot_be_used(folder, change, text):
    plain = json.loads((folder / "frames.json").read_text())
    change(plain)
    (folder / "frames.json").write_text(json.dumps(plain))
    with pytest.raises(SourceError, match=text):
        read_to_label(folder)


@pytest.mark.parametrize("file", ["/etc/passwd", "../outside.jpg", "images/../../outside.jpg", ".", ""])
@pytest.mark.parametrize("where", ["image", "neighbours"])
def test_files_outside_of_the_folder(folder, where, file):
    plain = json.loads((folder / "frames.json").read_text())
    plain["frames"][0][where] = file if where == "image" else [file]
    (folder / "frames.json").write_text(json.dumps(plain))
    with pytest.raises(SourceError, match="frames.json is damaged .* is outside of the folder"):
        read_to_label(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"image": 7},
        {"neighbours": [None]},
        {"neighbours": 7},
        {"stamp_ns": "now"},
        {"position": "1"},
        {"position": -1},
        {"width": 12.5},
        {"why": []},
    ],
)
def test_frames_of_other_types(folder, change):
    plain = json.loads((folder / "frames.json").read_text())
    plain["frames"][0] |= change
    (folder / "frames.json").write_text(json.dumps(plain))
    with pytest.raises(SourceError, match="frames.json is damaged"):
        read_to_label(folder)


@pytest.mark.parametrize("entry", [{"name": 7, "color": [1, 2, 3]}, {"name": "a", "color": [1, 2, 300]}, 5])
def test_classes_of_other_types(folder, entry):
    plain = json.loads((folder / "frames.json").read_text())
    plain["classes"] = [entry]
    (folder / "frames.json").write_text(json.dumps(plain))
    with pytest.raises(SourceError, match="frames.json is damaged"):
        read_to_label(folder)


def test_no_json(folder):
    (folder / "frames.json").write_text("{")
    with pytest.raises(SourceError, match="cannot be read"):
        read_to_label(folder)


def test_a_missing_file(folder):
    (folder / FRAME.neighbours[1]).unlink()
    with pytest.raises(SourceError, match=r"drive_7/002.jpg, which .*frames.json names, is missing"):
        read_to_label(folder)
