# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A folder of images as a video."""

import cv2
import numpy as np
import pytest

from dcfm_ros.sources.errors import SourceError
from dcfm_ros.sources.folder import ImageFolder


def picture(value, height=24, width=32):
    image = np.full((height, width, 3), value, np.uint8)
    image[: height // 2, :, 0] = 250  # red above, so that swapped channels are noticed
    return image


def write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image if image.ndim == 2 else image[..., ::-1])


def test_frames_come_in_natural_order_of_their_names(tmp_path):
    for number in (10, 2, 1, 100):
        write(tmp_path / f"frame{number}.png", picture(number))
    folder = ImageFolder(tmp_path, None, 15.0)
    assert folder.length == 4
    assert [int(folder.frame(i).image[-1, 0, 2]) for i in range(4)] == [1, 2, 10, 100]


@pytest.mark.parametrize(
    "files, names",
    [
        (("b.jpg", "a.png"), ["a", "b"]),
        (("a.jpg", "a.png", "b.png"), ["a.jpg", "a.png", "b.png"]),  # else two would have one name
        (("a.jpg", "a.jpg.png", "a.png"), ["a.jpg", "a.jpg.png", "a.png"]),
    ],
)
def test_frames_have_the_names_of_their_files(tmp_path, files, names):
    for name in files:
        write(tmp_path / name, picture(90))
    folder = ImageFolder(tmp_path, None, 15.0)
    assert sorted(folder.frame(i).name for i in range(len(files))) == names
    assert ImageFolder(tmp_path / files[0], None, 15.0).frame(0).name == files[0].rpartition(".")[0]


def test_every_suffix_counts_and_other_files_do_not(tmp_path):
    for name in ("a.png", "b.bmp", "c.JPG", "d.jpeg"):
        write(tmp_path / name, picture(90))
    (tmp_path / "notes.txt").write_text("not a picture")
    assert ImageFolder(tmp_path, None, 15.0).length == 4


def test_pixels_stamps_and_sizes(tmp_path):
    write(tmp_path / "0.png", picture(7))
    write(tmp_path / "1.png", picture(9, 48, 64))
    folder = ImageFolder(tmp_path, None, 10.0)
    assert (folder.width, folder.height, folder.rate_hz, folder.class_table) == (32, 24, 10.0, None)
    frame = folder.frame(1)
    assert np.array_equal(frame.image, picture(9, 48, 64))
    assert (frame.index, frame.stamp_ns, frame.label, frame.is_cut) == (1, 100_000_000, None, False)


def test_labels_beside_the_images_are_found(tmp_path):
    label = np.full((24, 32), 3, np.uint8)
    label[0] = 255
    for stem in "ab":
        write(tmp_path / "images" / f"{stem}.jpg", picture(50))
    write(tmp_path / "labels" / "a.png", label)
    folder = ImageFolder(tmp_path, None, 15.0)
    assert np.array_equal(folder.frame(0).label, label)
    assert folder.frame(1).label is None  # this frame has no label file


def test_labels_are_not_looked_for_beside_other_folders(tmp_path):
    write(tmp_path / "pictures" / "a.png", picture(50))
    write(tmp_path / "labels" / "a.png", np.zeros((24, 32), np.uint8))
    assert ImageFolder(tmp_path / "pictures", None, 15.0).frame(0).label is None
    assert ImageFolder(tmp_path / "pictures", tmp_path / "labels", 15.0).frame(0).label is not None


def test_bad_folders_are_refused(tmp_path):
    with pytest.raises(SourceError, match="no images in .*expected files ending in .jpg"):
        ImageFolder(tmp_path, None, 15.0)
    with pytest.raises(SourceError, match="nowhere is not a folder"):
        ImageFolder(tmp_path / "nowhere", None, 15.0)
    write(tmp_path / "a.png", picture(1))
    with pytest.raises(
        SourceError, match="no image in .* has a label in .*nowhere; expected, for example, a.png"
    ):
        ImageFolder(tmp_path, tmp_path / "nowhere", 15.0)
    for index in (-1, 1):
        with pytest.raises(SourceError, match=f"no frame {index}; the folder has 1"):
            ImageFolder(tmp_path, None, 15.0).frame(index)


def test_unreadable_images_are_named(tmp_path):
    write(tmp_path / "0.png", picture(1))
    (tmp_path / "1.jpg").write_bytes(b"\xff\xd8 this is no picture")
    (tmp_path / "2.png").write_bytes(b"")
    folder = ImageFolder(tmp_path, None, 15.0)
    for index, name in ((1, "1.jpg"), (2, "2.png")):
        with pytest.raises(SourceError, match=f"{name} cannot be read as an image"):
            folder.frame(index)


@pytest.mark.parametrize(
    "label, message",
    [
        (
            np.zeros((24, 32, 3), np.uint8),
            r"a.png has 3 channel\(s\) of uint8; save class ids as a single-channel",
        ),
        (np.zeros((24, 32), np.uint16), r"a.png has 1 channel\(s\) of uint16"),
        (np.zeros((12, 16), np.uint8), "a.png is 16x12 but its image 32x24: make both the same size"),
    ],
)
def test_bad_labels_are_refused(tmp_path, label, message):
    write(tmp_path / "images" / "a.jpg", picture(1))
    write(tmp_path / "labels" / "a.png", label)
    with pytest.raises(SourceError, match=message):
        ImageFolder(tmp_path, None, 15.0).frame(0)


CLASSES = "classes: [{name: road, color: [90, 0, 0], values: 7}, {name: sky, color: [0, 0, 90], values: 9}]\n"


@pytest.mark.parametrize("part, place", [("", "labels"), ("", ""), ("val", ""), ("val", "val/labels")])
def test_a_description_of_the_labels_is_honoured(tmp_path, part, place):
    root = tmp_path / part
    write(root / "images" / "a.jpg", picture(50))
    write(root / "images" / "b.jpg", picture(50))
    write(root / "labels" / "a.png", np.full((24, 32), 9, np.uint8))
    write(root / "labels" / "b.png", np.full((24, 32, 3), (90, 0, 0), np.uint8))
    (tmp_path / place / "classes.yaml").write_text(CLASSES)
    folder = ImageFolder(root, None, 15.0)
    assert folder.class_table == (("road", (90, 0, 0)), ("sky", (0, 0, 90)))
    assert [set(folder.frame(i).label.flat) for i in range(2)] == [{1}, {0}]


def test_a_description_elsewhere_is_none_of_theirs(tmp_path):
    write(tmp_path / "drive" / "masks" / "a.png", np.full((24, 32), 9, np.uint8))
    write(tmp_path / "drive" / "pictures" / "a.jpg", picture(50))
    (tmp_path / "classes.yaml").write_text(CLASSES)
    folder = ImageFolder(tmp_path / "drive" / "pictures", tmp_path / "drive" / "masks", 15.0)
    assert folder.class_table is None and folder.frame(0).label[0, 0] == 9
