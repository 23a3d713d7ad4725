# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Photographs that EXIF turns, and labels that were drawn on them."""

import numpy as np
import pytest
from PIL import Image

from dcfm_ros.sources.clips import open_clips
from dcfm_ros.sources.errors import SourceError
from dcfm_ros.sources.open import open_source
from dcfm_ros.sources.read import image_size, read_image, read_label

SHOWN = np.zeros((32, 48, 3), np.uint8)  # what a viewer shows: each corner has its own colour
SHOWN[:16, :24], SHOWN[:16, 24:], SHOWN[16:, :24], SHOWN[16:, 24:] = (
    (250, 10, 10),
    (10, 250, 10),
    (10, 10, 250),
    (240, 240, 240),
)
STORED = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.swapaxes(0, 1),
    6: np.rot90,
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a, -1),
}
ENDINGS = {"jpg": {"quality": 95, "subsampling": 0}, "png": {}, "webp": {"lossless": True}, "tiff": {}}


def save(path, shown, orientation, **options):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(STORED.get(orientation, STORED[1])(shown))).save(
        path, exif=exif, **options
    )


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("orientation", [0, *STORED, 9])
def test_images_are_turned_as_a_viewer_does(tmp_path, ending, orientation):
    path = tmp_path / f"a.{ending}"
    save(path, SHOWN, orientation, **ENDINGS[ending])
    assert image_size(path) == (32, 48)
    assert np.abs(read_image(path).astype(int) - SHOWN).max() < 20


def test_a_mark_behind_the_pixels_of_a_png_counts(tmp_path):
    save(tmp_path / "a.png", SHOWN, 6)
    data = (tmp_path / "a.png").read_bytes()
    start = data.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(data[start : start + 4], "big")
    (tmp_path / "a.png").write_bytes(data[:start] + data[end:-12] + data[start:end] + data[-12:])
    assert image_size(tmp_path / "a.png") == (32, 48) and np.array_equal(
        read_image(tmp_path / "a.png"), SHOWN
    )


def test_damaged_exif_turns_nothing(tmp_path):
    save(tmp_path / "a.jpg", SHOWN, 1)
    data = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(data[:2] + b"\xff\xe1\0\x10Exif\0\0II*\0\xff\xff\xff\xff" + data[2:])
    assert image_size(tmp_path / "a.jpg") == read_image(tmp_path / "a.jpg").shape[:2] == (32, 48)


@pytest.mark.parametrize("orientation", STORED)
def test_labels_lie_as_the_photograph_is_shown(tmp_path, orientation):
    """Also turned by 180 degrees, where sizes tell nothing; the same for a folder and for a data set."""
    label = np.zeros((32, 48), np.uint8)
    label[:16, 24:] = 1
    save(tmp_path / "images" / "a.jpg", SHOWN, orientation, quality=95)
    save(tmp_path / "labels" / "a.png", label, 1)
    (tmp_path / "classes.yaml").write_text(
        "classes: [{name: a, color: [0, 0, 0]}, {name: b, color: [9, 9, 9]}]"
    )
    frame, clip = open_source(str(tmp_path)).frame(0), open_clips(str(tmp_path)).clips[0]
    for image, found in ((frame.image, frame.label), (clip.image(0), clip.label(0))):
        assert np.array_equal(found, label)
        assert (image[found == 1].mean(0) - (10, 250, 10) < 20).all()


def test_labels_of_the_stored_pixels_are_refused(tmp_path):
    save(tmp_path / "images" / "a.jpg", SHOWN, 6)
    save(tmp_path / "labels" / "a.png", np.zeros((48, 32), np.uint8), 1)
    (tmp_path / "classes.yaml").write_text("classes: [{name: a, color: [0, 0, 0]}]")
    for read in (
        lambda: open_source(str(tmp_path)).frame(0),
        lambda: open_clips(str(tmp_path)).clips[0].label(0),
    ):
        with pytest.raises(
            SourceError,
            match="labels/a.png is oriented like the stored pixels of .*a.jpg, which EXIF orientation 6 "
            "rotates to 48x32; rotate the labels likewise, or remove the orientation .*exiftool "
            "-Orientation=",
        ):
            read()


def test_labels_of_another_size_are_not_put_down_to_exif(tmp_path):
    save(tmp_path / "a.jpg", SHOWN, 1)
    save(tmp_path / "a.png", np.zeros((48, 32), np.uint8), 1)
    with pytest.raises(SourceError, match="a.png is 32x48 but its image 48x32: make both the same size"):
        read_label(tmp_path / "a.png", (32, 48), image=tmp_path / "a.jpg")


def test_a_label_with_a_mark_of_its_own_is_turned_too(tmp_path):
    label = np.arange(32 * 48, dtype=np.uint8).reshape(32, 48)
    save(tmp_path / "a.png", label, 8)
    assert np.array_equal(read_label(tmp_path / "a.png", (32, 48)), label)
