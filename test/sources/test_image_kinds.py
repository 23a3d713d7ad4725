# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Image files of all kinds that people have: read right, or refused in a sentence."""

import io
import struct

import cv2
import numpy as np
import pytest
from PIL import Image

from dcfm_ros.sources.errors import SourceError
from dcfm_ros.sources.folder import ImageFolder
from dcfm_ros.sources.open import open_source
from dcfm_ros.sources.read import image_size, read_image

SMOOTH = cv2.resize(np.random.default_rng(0).integers(0, 255, (6, 8, 3), np.uint8), (64, 48))
GREY = np.repeat(SMOOTH[..., :1], 3, -1)


def saved(path, mode="RGB", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(SMOOTH).convert(mode).save(path, **options)
    return path


@pytest.mark.parametrize(
    "name, options",
    [
        ("a.JPG", {}),
        ("a.jpe", {"format": "JPEG"}),
        ("a.jfif", {"format": "JPEG"}),
        ("a.png", {}),
        ("a.bmp", {}),
        ("a.webp", {}),
        ("a.TIF", {}),
        ("a.tiff", {"compression": "tiff_lzw"}),
        ("a.ppm", {}),
        ("a.gif", {}),
        ("jpeg.png", {"format": "JPEG"}),
        ("a.tif", {"mode": "CMYK"}),
        ("a.jpg", {"mode": "CMYK"}),
        ("b.jpg", {"mode": "L"}),
        ("p.png", {"mode": "P"}),
        ("b.pgm", {"mode": "L"}),
        ("c.pbm", {"mode": "1"}),
        ("1.png", {"mode": "1"}),
        ("la.png", {"mode": "LA"}),
    ],
)
def test_colours_are_those_of_pillow(tmp_path, name, options):
    path = saved(tmp_path / name, **options)
    with Image.open(path) as image:
        expected = np.array(image.convert("RGB"))
    assert np.array_equal(read_image(path), expected) and image_size(path) == (48, 64)
    assert ImageFolder(tmp_path, None, 15.0).length == 1


def test_transparency_is_left_out(tmp_path):
    Image.fromarray(np.dstack([SMOOTH, np.zeros((48, 64), np.uint8)])).save(tmp_path / "a.png")
    assert np.array_equal(read_image(tmp_path / "a.png"), SMOOTH)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.pgm", "colour.png", "colour.tiff"])
def test_of_16_bits_the_upper_8_are_taken(tmp_path, name):
    deep = (SMOOTH[..., ::-1] if "colour" in name else SMOOTH[..., 0]).astype(np.uint16) * 256 + 77
    assert cv2.imwrite(str(tmp_path / name), deep)
    assert np.array_equal(read_image(tmp_path / name), SMOOTH if "colour" in name else GREY)


def test_of_a_stereo_or_portrait_file_the_photograph_is_taken(tmp_path):
    other = Image.fromarray(255 - SMOOTH)
    path = saved(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[other], quality=95)
    assert np.abs(read_image(path).astype(int) - SMOOTH).mean() < 5


@pytest.mark.parametrize(
    "name, remedy",
    [
        ("a.gif", ", or give this file alone, as a video"),
        ("a.webp", ""),
        ("a.tiff", ""),
        ("a.png", ", or give this file alone, as a video"),
    ],
)
def test_several_pictures_in_one_file_are_refused(tmp_path, name, remedy):
    path = saved(tmp_path / name, save_all=True, append_images=[Image.fromarray(255 - SMOOTH)])
    with pytest.raises(
        SourceError,
        match=f"{name} contains 2 pictures, but each image of a folder must contain one; "
        f"save them as separate files{remedy}$",
    ):
        read_image(path)


@pytest.mark.parametrize("name", ["a.gif", "a.png"])
def test_an_animation_alone_is_a_video(tmp_path, name):
    pytest.importorskip("av")
    path = saved(tmp_path / name, save_all=True, append_images=[Image.fromarray(255 - SMOOTH)], duration=100)
    source = open_source(str(path))
    assert source.length == 2
    assert np.abs(source.frame(1).image.astype(int) - (255 - SMOOTH)).mean() < 20


@pytest.mark.parametrize(
    "name, array, message",
    [
        (
            "a.tiff",
            np.zeros((4, 4), np.float32),
            "has 32-bit pixels without a defined white value; save it as JPEG",
        ),
        ("b.tiff", np.zeros((4, 4), np.int32), "has 32-bit pixels"),
        ("c.tiff", np.zeros((4, 4, 3), np.float32), "is a TIFF of an unsupported kind; save it as JPEG"),
    ],
)
def test_values_without_a_range_are_refused(tmp_path, name, array, message):
    if array.ndim == 2:
        Image.fromarray(array).save(tmp_path / name)
    else:
        cv2.imwrite(str(tmp_path / name), array)
    with pytest.raises(SourceError, match=f"{name} {message}"):
        read_image(tmp_path / name)


def test_a_heic_by_another_name_is_said_to_be_one(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    for read in (read_image, image_size):
        with pytest.raises(
            SourceError, match="a.jpg is a HEIF or AVIF picture, .* despite its name; save it as JPEG"
        ):
            read(tmp_path / "a.jpg")


def test_pictures_beyond_all_memory_are_refused(tmp_path):
    header = b"P6 70000 70000 255\n"
    (tmp_path / "a.ppm").write_bytes(header + bytes(100))
    with pytest.raises(
        SourceError, match="a.ppm is 70000x70000; scale it down to 268 million pixels at most"
    ):
        read_image(tmp_path / "a.ppm")


def test_pictures_of_more_pixels_than_their_bytes_can_say_are_refused(tmp_path):
    """An animation's canvas may be larger than what is drawn on it."""
    Image.new("P", (2, 2)).save(tmp_path / "a.gif")
    data = bytearray((tmp_path / "a.gif").read_bytes())
    data[6:10] = struct.pack("<HH", 16_000, 16_000)
    (tmp_path / "a.gif").write_bytes(data)
    for read in (read_image, image_size):
        with pytest.raises(
            SourceError, match="a.gif would be 16000x16000 out of .* bytes, more than a picture"
        ):
            read(tmp_path / "a.gif")
    large = np.zeros((6000, 6000), np.uint8)
    Image.fromarray(large).convert("1").save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").shape == (6000, 6000, 3)


@pytest.mark.parametrize(
    "how", [{}, dict(progressive=True), dict(restart_marker_blocks=1), dict(restart_marker_rows=1)]
)
def test_a_jpeg_that_lacks_only_its_end_marker_is_read(tmp_path, how):
    path = saved(tmp_path / "a.jpg", **how)
    whole, image = path.read_bytes(), read_image(path)
    path.write_bytes(whole[:-2])
    assert np.array_equal(read_image(path), image)
    for cut in range(3, 90, 7):
        room = bytes(300) * (cut % 2) * (cut > 30)  # for the rest; two zeros may be the last block
        path.write_bytes(whole[:-cut] + room)
        with pytest.raises(SourceError, match="a.jpg is truncated; copy it again"):
            read_image(path)


def test_a_jpeg_that_was_cut_and_then_ended_is_refused(tmp_path):
    path = saved(tmp_path / "a.jpg")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 8 // 10] + b"\xff\xd9")
    with pytest.raises(SourceError, match="a.jpg is truncated; copy it again"):
        read_image(path)
    Image.new("RGB", (64, 48), (128, 128, 128)).save(path)
    assert (read_image(path) == 128).all()


def test_the_end_of_a_thumbnail_is_not_that_of_the_jpeg(tmp_path):
    thumbnail = io.BytesIO()
    Image.fromarray(SMOOTH[::4, ::4]).save(thumbnail, "JPEG")
    segment = b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0" + thumbnail.getvalue()
    path = saved(tmp_path / "a.jpg")
    whole = path.read_bytes()
    whole = whole[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + whole[2:]
    path.write_bytes(whole)
    assert read_image(path).shape == (48, 64, 3)
    path.write_bytes(whole[: len(whole) * 3 // 4])
    with pytest.raises(SourceError, match="a.jpg is truncated; copy it again"):
        read_image(path)


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.tiff", "a.bmp"])
def test_files_that_were_cut_off_are_refused(tmp_path, name):
    path = saved(tmp_path / name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(
        SourceError, match=f"{name} cannot be read as an image; it is damaged or not what its name says"
    ):
        read_image(path)


def test_a_link_to_nothing_is_named(tmp_path):
    (tmp_path / "a.png").symlink_to("/nowhere/x.png")
    with pytest.raises(
        SourceError, match="a.png is a link to /nowhere/x.png, which does not exist; fix or remove it"
    ):
        read_image(tmp_path / "a.png")


def test_hidden_files_are_no_images(tmp_path):
    saved(tmp_path / "1.png")
    (tmp_path / "._1.png").write_bytes(b"\0\5\x16\7")
    (tmp_path / "Thumbs.db").write_bytes(b"")
    assert ImageFolder(tmp_path, None, 15.0).length == 1


def test_pictures_that_are_not_read_are_not_left_out_silently(tmp_path):
    for name in ("1.jpg", "3.jpg"):
        saved(tmp_path / name)
    (tmp_path / "3.NEF").write_bytes(b"the raw file beside a JPEG")
    assert ImageFolder(tmp_path, None, 15.0).length == 2
    (tmp_path / "2.HEIC").write_bytes(b"")
    with pytest.raises(
        SourceError,
        match=r"holds 1 picture\(s\) in an unsupported format, for example 2.HEIC; save them as JPEG",
    ):
        ImageFolder(tmp_path, None, 15.0)
    with pytest.raises(
        SourceError, match="2.HEIC is a picture in an unsupported format; save it as JPEG or PNG"
    ):
        open_source(str(tmp_path / "2.HEIC"))


def test_a_folder_without_images_says_what_it_holds(tmp_path):
    with pytest.raises(
        SourceError, match="no images in .*; expected files ending in .jpg, .*, but it is empty"
    ):
        ImageFolder(tmp_path, None, 15.0)
    (tmp_path / "more").mkdir()
    for name in ("a.heic", "b.HEIC", "notes"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(SourceError, match="but it holds 2 of .heic, 1 of no ending, the folder more$"):
        ImageFolder(tmp_path, None, 15.0)


def test_a_label_belongs_to_one_image(tmp_path):
    for name in ("images/a.png", "images/a.jpg", "images/b.png"):
        saved(tmp_path / name)
    assert open_source(str(tmp_path)).length == 3
    saved(tmp_path / "labels" / "b.PNG", mode="L", format="PNG")
    assert open_source(str(tmp_path)).frame(2).label is not None
    saved(tmp_path / "labels" / "a.png", mode="L")
    with pytest.raises(
        SourceError, match="images has several images named a; rename them, since they share a label"
    ):
        open_source(str(tmp_path))


def test_an_image_is_a_video_of_one_frame(tmp_path):
    source = open_source(str(saved(tmp_path / "a.png")))
    assert source.length == 1 and np.array_equal(source.frame(0).image, SMOOTH)
