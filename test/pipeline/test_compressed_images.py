# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compressed image messages: what their `format` says, the pixels of image_transport's subscriber, and what
is refused."""

import struct
import zlib
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from dcfm_ros.pipeline.decoding import MessageError, decode_compressed, decode_image
from dcfm_ros.pipeline.settings import MAX_SIDE

HEIGHT, WIDTH = 24, 32
Y, X = np.mgrid[0:HEIGHT, 0:WIDTH]
RGB = np.stack([60 + 4 * X, 200 - 5 * Y, 40 + 2 * X + 3 * Y], axis=-1).astype(np.uint8)
BGR = np.ascontiguousarray(RGB[..., ::-1])
GREY = np.ascontiguousarray(RGB[..., 0])
DEPTH = np.full((HEIGHT, WIDTH), 1200, np.uint16)  # millimetres
PATTERNS = ("rggb", "bggr", "gbrg", "grbg")


def encoded(pixels, ending=".png"):
    return cv2.imencode(ending, pixels)[1].tobytes()


def decoded(image_format, data):
    """(H, W, 3) uint8 RGB."""
    pixels, is_bgr = decode_compressed(SimpleNamespace(format=image_format, data=data))
    assert pixels.dtype == np.uint8 and pixels.shape[2:] == (3,)
    return pixels[..., ::-1] if is_bgr else pixels


def refusal(image_format, data):
    with pytest.raises(MessageError) as error:
        decoded(image_format, data)
    assert "\n" not in str(error.value)
    return error.value


def wide(pixels):
    """16 bits whose high bytes are the pixels."""
    return pixels.astype(np.uint16) * 256 + 255


def mosaic(pattern):
    out = np.empty((HEIGHT, WIDTH), np.uint8)
    for number, channel in enumerate(pattern):
        y, x = divmod(number, 2)
        out[y::2, x::2] = RGB[y::2, x::2, "rgb".index(channel)]
    return out


def raw(encoding, rows):
    """(H, W, 3) uint8 RGB of a raw message with these rows."""
    data = rows.tobytes()
    return decode_image(
        SimpleNamespace(
            height=HEIGHT, width=WIDTH, encoding=encoding, is_bigendian=0, step=len(data) // HEIGHT, data=data
        )
    ).pixels[..., ::-1]


# Channels and their order


# image_transport's subscriber takes what the codec gives for BGR if the format names no encoding, or none
# with an order, or if "compressed bgr" is there. Otherwise red is where the codec has blue.
@pytest.mark.parametrize(
    "image_format, is_bgr",
    [
        ("jpeg", True),
        ("jpg", True),
        ("JPEG", True),
        ("png", True),
        ("", True),
        ("bgr8", True),
        ("rgb8", True),
        ("jpeg compressed rgb8", True),
        ("rgb8; jpeg compressed bgr8", True),
        ("bgr8; png compressed bgr8", True),
        ("RGB8;PNG  Compressed   BGR8 ", True),
        ("rgba8; png compressed bgra8", True),
        ("bgra8; jpeg compressed bgr8", True),
        ("rgb8; jpeg compressed rgb8", False),
        ("rgb8; png compressed ", False),
        ("bgr8; jpeg compressed ", False),
        ("bgra8; png compressed", False),
        ("rgba8; png compressed rgba8", False),
        ("rgb16; png compressed bgr16", True),
        ("yuv422; jpeg compressed ", True),
        ("yuv422_yuy2; jpeg compressed bgr8", True),
        ("nv24; jpeg compressed bgr8", True),
        ("8UC3; jpeg compressed ", True),
        ("8UC1; png compressed ", True),
        ("mono8; jpeg compressed ", True),
        ("bayer_rggb8; jpeg compressed bgr8", True),
    ],
)
def test_the_order_of_channels_is_that_of_image_transport(image_format, is_bgr):
    np.testing.assert_array_equal(decoded(image_format, encoded(BGR if is_bgr else RGB)), RGB)


@pytest.mark.parametrize("pixels", [np.dstack([BGR, GREY]), wide(BGR)], ids=["alpha", "16 bits"])
def test_alpha_is_dropped_and_the_high_byte_kept(pixels):
    np.testing.assert_array_equal(decoded("png", encoded(pixels)), RGB)


@pytest.mark.parametrize(
    "image_format",
    [
        "mono8; jpeg compressed ",
        "mono8; jpeg compressed mono8",
        "yuv422; jpeg compressed mono8",
        "mono16; jpeg compressed mono8",
        "8UC1; jpeg compressed ",
        "bayer_rggb8; jpeg compressed mono8",
        "jpeg",
        "",
        "mono8",
    ],
)
def test_grey(image_format):
    """Also what image_transport has made grey of another encoding."""
    np.testing.assert_array_equal(decoded(image_format, encoded(GREY)), np.dstack([GREY] * 3))


@pytest.mark.parametrize(
    "image_format", ["mono16; png compressed ", "mono16; png compressed mono16", "mono16"]
)
def test_mono16_is_as_the_raw_topic(image_format):
    values = np.linspace(0, 65535, HEIGHT * WIDTH).astype("<u2").reshape(HEIGHT, WIDTH)
    np.testing.assert_array_equal(decoded(image_format, encoded(values)), raw("mono16", values))


# Mosaics


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize(
    "image_format",
    [
        "bayer_{}8; png compressed ",
        "bayer_{0}8; png compressed bayer_{0}8",
        "BAYER_{}8;png compressed",
        "bayer_{}8",
    ],
)
def test_a_mosaic_gives_the_colours_of_the_raw_topic(pattern, image_format):
    rgb = decoded(image_format.format(pattern), encoded(mosaic(pattern)))
    np.testing.assert_array_equal(rgb, raw(f"bayer_{pattern}8", mosaic(pattern)))
    assert np.abs(rgb[2:-2, 2:-2].astype(int) - RGB[2:-2, 2:-2]).max() <= 1


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_mosaic_of_16_bits(pattern):
    rgb = decoded(f"bayer_{pattern}16; png compressed ", encoded(wide(mosaic(pattern))))
    np.testing.assert_array_equal(rgb, raw(f"bayer_{pattern}16", wide(mosaic(pattern))))


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("bits, order", [(8, ""), (8, "bayer_{}8"), (16, "")])
def test_a_mosaic_in_a_jpeg_gives_colours(pattern, bits, order):
    flat = np.full_like(RGB, (200, 90, 20))
    rows = np.empty((HEIGHT, WIDTH), np.uint8)
    for number, channel in enumerate(pattern):
        y, x = divmod(number, 2)
        rows[y::2, x::2] = flat[0, 0, "rgb".index(channel)]
    rgb = decoded(f"bayer_{pattern}{bits}; jpeg compressed {order.format(pattern)}", encoded(rows, ".jpg"))
    assert np.abs(rgb[2:-2, 2:-2].astype(int) - flat[2:-2, 2:-2]).max() <= 12


# What is no picture


@pytest.mark.parametrize(
    "image_format",
    [
        "16UC1; png compressed ",
        "32FC1; png compressed ",
        "16SC1; png compressed",
        "16uc1;png compressed",
        "16UC1",
        "png compressed 16UC1",
        "mono16; png compressed 16UC1",
        "16UC1; compressedDepth png",
        "32FC1; compressedDepth",
        "compressedDepth",
        "depth; png compressed ",
    ],
)
def test_depth_and_heat_are_refused_as_the_raw_topic_is(image_format):
    for data in (encoded(DEPTH), encoded(GREY, ".jpg"), bytes(12) + encoded(DEPTH), b""):
        error = refusal(image_format, data)
        assert (
            error.kind == "encoding"
            and "holds depth, heat or other numbers" in str(error)
            and repr(image_format) in str(error)
        )


def test_compressed_depth_that_does_not_say_so():
    error = refusal("", bytes(12) + encoded(DEPTH))
    assert error.kind == "encoding" and "holds depth, heat or other numbers" in str(error)


@pytest.mark.parametrize(
    "image_format",
    ["png", "", "mono8; png compressed ", "bayer_rggb8; png compressed ", "rgb8; png compressed bgr8"],
)
def test_16_bits_of_which_the_format_does_not_speak_may_be_depth(image_format):
    error = refusal(image_format, encoded(DEPTH))
    assert error.kind == "encoding" and "brightness or depth" in str(error)


@pytest.mark.parametrize("encoding", ["bayer_rggb12", "yuv420", "rccb8"])
def test_one_channel_of_an_unknown_encoding_is_refused(encoding):
    error = refusal(f"{encoding}; png compressed ", encoded(GREY))
    assert (
        error.kind == "encoding"
        and f"encoding '{encoding}' is not supported: publish one of rgb8, " in str(error)
    )


@pytest.mark.parametrize(
    "image_format, data",
    [
        ("h264", b"\0\0\0\1\x67" + bytes(50)),
        ("jpeg", b"\0\0\1\x67" + bytes(50)),
        ("hevc", b"\x40" * 50),
        ("H.265", b"\x40" * 50),
        ("libx264; h264", b"\x40" * 50),
        ("av1", b"\x12\0" * 50),
        ("vp9", b"\x82" * 50),
        ("h264_nvenc", b"\x40" * 50),
    ],
)
def test_video_is_refused(image_format, data):
    error = refusal(image_format, data)
    assert error.kind == "encoding" and "is a part of a video" in str(error) and "decoder node" in str(error)


@pytest.mark.parametrize(
    "name, data",
    {
        "TIFF": encoded(BGR, ".tiff"),
        "WebP": encoded(BGR, ".webp"),
        "BMP": encoded(BGR, ".bmp"),
        "GIF": b"GIF89a" + bytes(20),
        "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(20),
        "AVIF or HEIF": b"\0\0\0\x20ftypavif" + bytes(20),
    }.items(),
)
def test_other_codecs_are_refused_by_name(name, data):
    for image_format in ("jpeg", name.lower(), f"rgb8; {name.lower()} compressed "):
        error = refusal(image_format, data)
        assert (
            error.kind == "encoding"
            and f"compressed image is {name}, and only JPEG and PNG are read" in str(error)
        )


# Damage, and what only claims to be large

PNG = encoded(BGR)


@pytest.mark.parametrize(
    "data",
    {
        "garbage": b"\x07" * 100,
        "png-head": PNG[:20],
        "png-half": PNG[: len(PNG) // 2],
        "png-end": PNG[:-20],
        "png-damaged": PNG[:60] + bytes(30) + PNG[90:],
    }.items(),
    ids=lambda item: item[0],
)
def test_damage_is_told(data):
    error = refusal("png", data[1])
    assert (
        error.kind == "decode"
        and f"of {len(data[1])} bytes with format 'png' is not a whole JPEG or PNG picture" in str(error)
    )


def test_no_data():
    """Message that image_transport publishes if it cannot encode a picture."""
    error = refusal("yuv422; jpeg compressed ", b"")
    assert error.kind == "decode" and "has no data: its publisher could not encode the picture" in str(error)


def test_few_bytes_that_claim_many_pixels_are_not_decoded(monkeypatch):
    png = bytearray(PNG)
    png[16:24] = (8000).to_bytes(4, "big") * 2
    monkeypatch.setattr(cv2, "imdecode", None)
    assert refusal("", bytes(png)).kind == "decode"


@pytest.mark.parametrize("claimed", (2**31 - 1, 2**24))
def test_a_chunk_that_claims_gigabytes_is_not_decoded(claimed, monkeypatch):
    """OpenCV reserves and fills them: 123 bytes took it 13 s."""
    png = bytearray(PNG)
    at = png.index(b"IDAT") - 4
    png[at : at + 4] = claimed.to_bytes(4, "big")
    monkeypatch.setattr(cv2, "imdecode", None)
    assert refusal("", bytes(png)).kind == "decode"


@pytest.mark.parametrize("missing", (13, 20, 200))
def test_a_png_that_is_cut_is_not_decoded(missing, monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", None)
    assert refusal("", PNG[:-missing]).kind == "decode"


def test_of_an_animation_the_picture_alone_is_decoded():
    """OpenCV 5.0 ends the process where a frame of an animation has a row whose filter does not exist."""
    control = struct.pack(">IIIIIHHBB", 0, WIDTH, HEIGHT, 0, 0, 1, 10, 0, 0)
    frame = b"\0\0\0\1" + zlib.compress((b"\x09" + bytes(3 * WIDTH)) * HEIGHT)
    start, end = PNG.index(b"IDAT") - 4, len(PNG) - 12
    animated = chunk(b"acTL", struct.pack(">II", 2, 0)) + PNG[start:end]
    animated += chunk(b"fcTL", control) + chunk(b"fdAT", frame)
    np.testing.assert_array_equal(decoded("png", PNG[:start] + animated + PNG[end:]), decoded("png", PNG))


def chunk(name, content):
    checksum = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + checksum


def test_a_picture_of_one_colour_is_decoded():
    """It has 256 kB in 300 bytes: as few as a PNG can have."""
    black = np.zeros((512, 512), np.uint8)
    data = cv2.imencode(".png", black, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes()
    assert len(data) < black.size / 500
    message = SimpleNamespace(format="mono8; png compressed ", data=data)
    assert not decode_compressed(message).pixels.any()


@pytest.mark.parametrize("width, height", [(MAX_SIDE + 1, 1), (8193, 8192), (60000, 60000), (0, 5)])
def test_the_size_is_checked_before_anything_is_decoded(width, height, monkeypatch):
    jpeg, png = bytearray(encoded(BGR, ".jpg")), bytearray(PNG)
    size = jpeg.index(b"\xff\xc0") + 5
    jpeg[size : size + 4] = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    png[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    monkeypatch.setattr(cv2, "imdecode", None)
    for data in (jpeg, png):
        error = refusal("", bytes(data))
        assert error.kind == "size" and f"image is {width}×{height} pixels" in str(error)
