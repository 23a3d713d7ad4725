# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reading of image and label files."""

import cv2
import numpy as np
import pytest
from PIL import Image

from dcfm_ros.sources.errors import SourceError
from dcfm_ros.sources.names import natural_key
from dcfm_ros.sources.read import image_size, read_image, read_label

LABEL = np.arange(24 * 32).reshape(24, 32).astype(np.uint8) % 20


def noise(height=48, width=64):
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)


def test_numbers_in_names_count_as_numbers():
    assert sorted(["a10", "a2", "b1", "a02", "A3"], key=natural_key) == ["a02", "a2", "A3", "a10", "b1"]


def test_images_are_rgb_and_their_size_is_known_from_the_header(tmp_path):
    image = noise()
    cv2.imwrite(str(tmp_path / "a.png"), image[..., ::-1])
    assert np.array_equal(read_image(tmp_path / "a.png"), image)
    assert image_size(tmp_path / "a.png") == (48, 64)


def test_a_jpeg_that_was_cut_off_is_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "a.jpg"), noise())
    whole = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(whole + b"a camera's own data")
    assert read_image(tmp_path / "a.jpg").shape == (48, 64, 3)
    (tmp_path / "a.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match="a.jpg is truncated; copy it again"):
        read_image(tmp_path / "a.jpg")


@pytest.mark.parametrize(
    "name, content", [("a.jpg", b"\xff\xd8 no picture"), ("a.png", b"no picture"), ("a.bmp", b"")]
)
def test_unreadable_files_are_named(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    for read in (read_image, image_size):
        with pytest.raises(
            SourceError, match=f"{name} cannot be read as an image; it is damaged or not what its name says"
        ):
            read(path)
    with pytest.raises(SourceError, match=f"{name} cannot be read as a PNG"):
        read_label(path, (24, 32))


def test_missing_files_are_named(tmp_path):
    with pytest.raises(SourceError, match="a.jpg cannot be read: No such file or directory; check the file"):
        read_image(tmp_path / "a.jpg")


def test_labels_with_a_palette_are_its_indices(tmp_path):
    for name, mode in (("grey.png", "L"), ("palette.png", "P")):
        image = Image.fromarray(LABEL)
        if mode == "P":
            image.putpalette([value for number in range(256) for value in (number, 255 - number, 7)])
        image.save(tmp_path / name)
        with Image.open(tmp_path / name) as saved:
            assert saved.mode == mode
        label = read_label(tmp_path / name, (24, 32))
        assert label.dtype == np.uint8 and np.array_equal(label, LABEL)


def test_labels_that_a_lossy_format_has_spoilt_are_refused(tmp_path):
    Image.fromarray(LABEL).save(tmp_path / "a.png", format="JPEG")
    with pytest.raises(
        SourceError, match="a.png cannot be read as a PNG; it is damaged or not what its name says"
    ):
        read_label(tmp_path / "a.png", (24, 32))


def test_a_label_that_was_cut_off_is_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), noise()[..., 0])
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match="a.png cannot be read as a PNG"):
        read_label(tmp_path / "a.png", (48, 64))


@pytest.mark.parametrize(
    "label, message",
    [
        (
            np.zeros((24, 32, 3), np.uint8),
            r"a.png has 3 channel\(s\) of uint8; save class ids as a single-channel 8-bit PNG",
        ),
        (np.zeros((24, 32), np.uint16), r"a.png has 1 channel\(s\) of uint16"),
        (np.zeros((12, 16), np.uint8), "a.png is 16x12 but its image 32x24: make both the same size"),
    ],
)
def test_labels_of_another_kind_or_size_are_refused(tmp_path, label, message):
    cv2.imwrite(str(tmp_path / "a.png"), label)
    with pytest.raises(SourceError, match=message):
        read_label(tmp_path / "a.png", (24, 32))
