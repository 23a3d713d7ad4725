# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""JPEGs as cameras and apps write them: whole ones are read whatever they lack, cut ones are told."""

import io
import re
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image

from dcfm_ros.pipeline.decoding import MessageError, decode_compressed

END = b"\xff\xd9"
Y, X = np.mgrid[0:96, 0:128]
RGB = np.stack([60 + X, 200 - Y, 40 + (X + Y) // 2], axis=-1).astype(np.uint8)
KINDS = {
    "4:4:4": dict(subsampling="4:4:4"),
    "4:2:2": dict(subsampling="4:2:2"),
    "4:2:0": dict(subsampling="4:2:0"),
    "4:1:1": dict(subsampling="4:1:1"),
    "progressive": dict(progressive=True),
    "restarts by row": dict(restart_marker_rows=1),
    "restarts by block": dict(restart_marker_blocks=3),
    "optimised": dict(optimize=True),
}


def jpeg(pixels=RGB, mode=None, **options):
    image, out = Image.fromarray(pixels), io.BytesIO()
    (image.convert(mode) if mode else image).save(out, "JPEG", quality=92, **options)
    return out.getvalue()


def decoded(data):
    return decode_compressed(SimpleNamespace(format="jpeg", data=data)).pixels[..., ::-1]


def is_cut(data):
    try:
        decoded(data)
    except MessageError as error:
        assert error.kind == "decode" and "is not a whole JPEG or PNG picture" in str(error)
        return True
    return False


def scan_start(data):
    return data.index(b"\xff\xda")


def with_thumbnail(data):
    """The same with EXIF data that has a whole JPEG of its own."""
    exif = b"Exif\0\0" + jpeg(RGB[:16, :16])
    return data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:]


@pytest.fixture(params=KINDS)
def picture(request):
    return jpeg(**KINDS[request.param])


def test_kinds(picture):
    assert np.abs(decoded(picture).astype(int) - RGB).max() < 12


def test_without_end_marker(picture):
    whole = decoded(picture)
    for data in (picture[:-2], picture[:-1], picture[:-2] + bytes(5000), picture[:-2] + picture):
        np.testing.assert_array_equal(decoded(data), whole)


@pytest.mark.parametrize(
    "after", [bytes(1000), jpeg(RGB[:32, :32]), b"\xff\xff\xff"], ids=["zeros", "a second picture", "fill"]
)
def test_what_follows_the_end_is_ignored(picture, after):
    np.testing.assert_array_equal(decoded(picture + after), decoded(picture))


@pytest.mark.parametrize(
    "end", [b"", END, bytes(20000), jpeg()], ids=["nothing", "end marker", "zeros", "the next picture"]
)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_cut_among_its_pixels(kind, share, end):
    picture = jpeg(**KINDS[kind])
    start = scan_start(picture)
    data = picture[: start + int(share * (len(picture) - start))].rstrip(b"\xff") + end
    if kind == "progressive" and end == END and not is_cut(data):  # only details are missing
        assert np.abs(decoded(data).astype(int) - RGB).max() < 20
    else:
        assert is_cut(data)


def test_a_picture_cut_between_its_restarts():
    data = jpeg(restart_marker_rows=1)
    for marker in re.finditer(rb"\xff[\xd0-\xd7]", data[scan_start(data) :]):
        for at in (marker.start(), marker.end()):
            assert is_cut(data[: scan_start(data) + at]) and is_cut(data[: scan_start(data) + at] + END)


@pytest.mark.parametrize("length", [3, 30, 300])
def test_a_picture_cut_before_its_pixels(length):
    assert is_cut(jpeg()[:length])


def test_the_end_of_a_thumbnail_is_not_that_of_the_picture():
    data = with_thumbnail(jpeg())
    np.testing.assert_array_equal(decoded(data), decoded(jpeg()))
    assert is_cut(data[: len(data) - 700])


@pytest.mark.parametrize("optimize", [False, True])
def test_a_grey_scene_is_not_taken_for_a_cut_picture(optimize):
    """Decoders fill in the same grey."""
    for grey in (np.full_like(RGB, 128), np.full(RGB.shape[:2], 128, np.uint8)):
        data = jpeg(grey, optimize=optimize)
        assert (decoded(data) == 128).all() and (decoded(data[:-2]) == 128).all()
        middle = (scan_start(data) + len(data)) // 2
        if not optimize:  # else each block is a few zeros, and what is missing looks the same
            assert is_cut(data[:middle]) and is_cut(data[:middle] + END)


def test_without_huffman_tables():
    """As USB cameras send MJPEG: the tables are those of the standard."""
    data = cv2.imencode(".jpg", RGB[..., ::-1])[1].tobytes()
    bare = re.sub(rb"\xff\xc4\0\x1f[^\xff]{29}|\xff\xc4\0\xb5.{179}", b"", data, flags=re.DOTALL)
    assert b"\xff\xc4" not in bare and len(bare) < len(data) - 400
    np.testing.assert_array_equal(decoded(bare), decoded(data))
    np.testing.assert_array_equal(decoded(bare[:-2]), decoded(data))


def test_four_channels_are_read_where_their_meaning_is_known():
    data = jpeg(mode="CMYK")
    assert np.abs(decoded(data).astype(int) - RGB).mean() < 3
    with pytest.raises(MessageError, match="JPEG of 4 channels with 8 bits is of a rare kind") as error:
        decoded(data.replace(b"Adobe", b"adobe"))
    assert error.value.kind == "encoding"


@pytest.mark.parametrize(
    "marker, bits",
    [(0xC3, 8), (0xC9, 8), (0xCA, 8), (0xC1, 12)],
    ids=["lossless", "arithmetic", "both", "12 bits"],
)
def test_rare_kinds_are_refused(marker, bits):
    data = bytearray(jpeg())
    size = data.index(b"\xff\xc0")
    data[size + 1], data[size + 4] = marker, bits
    with pytest.raises(
        MessageError, match=f"with {bits} bits is of a rare kind .*: let the camera write baseline JPEG"
    ) as error:
        decoded(bytes(data))
    assert error.value.kind == "encoding"


def test_few_bytes_that_claim_many_pixels_are_not_decoded(monkeypatch):
    data = bytearray(jpeg())
    size = data.index(b"\xff\xc0") + 5
    data[size : size + 4] = (8192).to_bytes(2, "big") * 2
    monkeypatch.setattr(cv2, "imdecode", None)
    assert is_cut(bytes(data))


def test_exif_rotation_is_not_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: a quarter turn
    turned = jpeg(exif=exif)
    assert cv2.imdecode(np.frombuffer(turned, np.uint8), cv2.IMREAD_COLOR).shape == (128, 96, 3)
    np.testing.assert_array_equal(decoded(turned), decoded(jpeg()))


def test_random_damage_raises_nothing_else():
    rng, data = np.random.default_rng(0), jpeg()
    for _ in range(200):
        damaged = np.frombuffer(data, np.uint8).copy()
        damaged[rng.integers(2, len(data), 4)] = rng.integers(0, 256, 4)
        try:
            assert decoded(damaged.tobytes()).shape[2] == 3
        except MessageError as error:
            assert error.kind in ("decode", "size", "encoding")
