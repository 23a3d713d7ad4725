# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Image messages: every encoding against a reference picture, every bad input by its message."""

import array

import cv2
import numpy as np
import pytest

pytest.importorskip("sensor_msgs.msg")
from builtin_interfaces.msg import Time
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from dcfm_ros.pipeline import decoding as d
from dcfm_ros.ros import messages as m
from dcfm_ros.stamps import stamp_ns

HEIGHT, WIDTH = 24, 32
PADDING = 7  # odd, so that padded rows of 16-bit pixels are not aligned


def picture():
    """(H, W, 3) uint8 RGB: smooth and different in each channel, so that subsampled colours survive within a
    few levels."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    return np.stack([60 + 4 * x, 200 - 5 * y, 40 + 2 * x + 3 * y], axis=-1).astype(np.uint8)


def message(encoding, rows, padding=0, height=None, **fields):
    """An Image whose rows, (rows, bytes) uint8, are followed by `padding` bytes of rubbish each."""
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=173)
    out = Image(encoding=encoding, height=height or len(rows), width=WIDTH, step=rows.shape[1], **fields)
    out.data = array.array("B", rows.tobytes())
    return out


def yuv(rgb):
    """BT.601 limited-range planes Y, U, V, (H, W) uint8 each, by the definition."""
    r, g, b = np.moveaxis(rgb / 255.0, -1, 0)
    luma = 0.299 * r + 0.587 * g + 0.114 * b
    u, v = (b - luma) / 1.772, (r - luma) / 1.402
    return [
        np.clip(np.round(p), 0, 255).astype(np.uint8) for p in (16 + 219 * luma, 128 + 224 * u, 128 + 224 * v)
    ]


def packed(rgb, order):
    """4:2:2 rows in the byte order of four letters out of U, Y, V, such as "UYVY"."""
    y, u, v = yuv(rgb)
    luma = iter((y[:, 0::2], y[:, 1::2]))
    planes = {"U": u[:, 0::2], "V": v[:, 0::2]}
    return np.stack([next(luma) if c == "Y" else planes[c] for c in order], axis=-1).reshape(HEIGHT, -1)


def semiplanar(rgb, first, second):
    """4:2:0: rows of brightness, then rows of interleaved colours; `first` and `second` index yuv()."""
    planes = yuv(rgb)
    colours = np.stack([planes[first][::2, ::2], planes[second][::2, ::2]], axis=-1).reshape(
        HEIGHT // 2, WIDTH
    )
    return np.concatenate([planes[0], colours])


def mosaic(rgb, pattern):
    """One channel per pixel, by the letters of the top left 2 × 2 block: "rggb" has red in the corner."""
    out = np.empty((HEIGHT, WIDTH), np.uint8)
    for i, channel in enumerate(pattern):
        y, x = divmod(i, 2)
        out[y::2, x::2] = rgb[y::2, x::2, "rgb".index(channel)]
    return out


def wide(rows, order="<"):
    """The same values as the high bytes of 16 bits."""
    return (rows.astype(np.uint16) * 256 + 255).astype(f"{order}u2").view(np.uint8)


def as_rgb(decoded):
    assert decoded.pixels.dtype == np.uint8 and decoded.pixels.shape == (HEIGHT, WIDTH, 3)
    return decoded.pixels[..., ::-1] if decoded.is_bgr else decoded.pixels


RGB = picture()
BGR = RGB[..., ::-1]
GREY = RGB[..., 0]
ALPHA = np.full((HEIGHT, WIDTH, 1), 99, np.uint8)
WIDE_ENCODINGS = ("rgb16", "bgr16", "rgba16", "bgra16")
FLAT = {
    "rgb8": RGB,
    "bgr8": BGR,
    "8UC3": BGR,
    "rgba8": np.concatenate([RGB, ALPHA], 2),
    "bgra8": np.concatenate([BGR, ALPHA], 2),
}
CASES = {encoding: (rows.reshape(HEIGHT, -1), RGB, 0) for encoding, rows in FLAT.items()}
CASES |= {encoding: (GREY, np.dstack([GREY] * 3), 0) for encoding in ("mono8", "8UC1")}
CASES["mono16"] = wide(GREY), np.dstack([GREY] * 3), 0
CASES |= {
    encoding: (wide(FLAT[encoding.replace("16", "8")].reshape(HEIGHT, -1)), RGB, 0)
    for encoding in WIDE_ENCODINGS
}
CASES |= {encoding: (packed(RGB, "UYVY"), RGB, 7) for encoding in ("yuv422", "uyvy")}
CASES |= {encoding: (packed(RGB, "YUYV"), RGB, 7) for encoding in ("yuv422_yuy2", "yuyv")}
CASES["nv12"] = semiplanar(RGB, 1, 2), RGB, 9
CASES["nv21"] = semiplanar(RGB, 2, 1), RGB, 9
CASES |= {f"bayer_{p}8": (mosaic(RGB, p), RGB, 1) for p in ("rggb", "bggr", "gbrg", "grbg")}
CASES |= {f"bayer_{p}16": (wide(mosaic(RGB, p)), RGB, 1) for p in ("rggb", "bggr", "gbrg", "grbg")}


def test_every_supported_encoding_has_a_case():
    assert set(CASES) == set(d.SUPPORTED_ENCODINGS)


@pytest.mark.parametrize("padding", [0, PADDING])
@pytest.mark.parametrize("encoding", CASES)
def test_encoding(encoding, padding):
    rows, expected, tolerance = CASES[encoding]
    rgb = as_rgb(d.decode_image(message(encoding, rows, padding, height=HEIGHT)))
    # A demosaicked border has no neighbours on one side: only the inside is exact there.
    inside = np.s_[2:-2, 2:-2] if encoding.startswith("bayer") else np.s_[:]
    assert np.abs(rgb[inside].astype(int) - expected[inside]).max() <= tolerance


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
@pytest.mark.parametrize("channel", [0, 1, 2])
def test_bayer_patterns_are_not_mixed_up(pattern, channel):
    pure = np.zeros_like(RGB)
    pure[..., channel] = 200
    rgb = as_rgb(d.decode_image(message(f"bayer_{pattern}8", mosaic(pure, pattern))))
    np.testing.assert_array_equal(rgb[1:-1, 1:-1], pure[1:-1, 1:-1])


@pytest.mark.parametrize(
    "encoding", [encoding for encoding in d.SUPPORTED_ENCODINGS if encoding.endswith("16")]
)
def test_big_endian(encoding):
    rows, *_ = CASES[encoding]
    rgb = as_rgb(d.decode_image(message(encoding, rows, height=HEIGHT)))
    swapped = rows.view("<u2").astype(">u2").view(np.uint8)
    np.testing.assert_array_equal(
        as_rgb(d.decode_image(message(encoding, swapped, PADDING, HEIGHT, is_bigendian=1))), rgb
    )


def test_mono16_is_within_one_level_of_cv_bridge():
    values = np.linspace(0, 65535, HEIGHT * WIDTH).astype("<u2").reshape(HEIGHT, WIDTH)
    ours = d.decode_image(message("mono16", values.view(np.uint8))).pixels[..., 0]
    assert np.abs(ours - np.round(values * (255 / 65535))).max() <= 1


@pytest.mark.parametrize("padding", [0, PADDING])
@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "8UC3"])
def test_colour_is_read_without_a_copy(encoding, padding):
    image = message(encoding, CASES[encoding][0], padding)
    decoded = d.decode_image(image)
    assert np.shares_memory(decoded.pixels, np.frombuffer(image.data, np.uint8))
    assert decoded.is_bgr == (encoding != "rgb8")
    cv2.resize(decoded.pixels, (8, 8))  # the consumers' functions take padded rows


def test_surplus_data_is_ignored():
    image = message("rgb8", CASES["rgb8"][0])
    image.data.extend(b"surplus")
    np.testing.assert_array_equal(as_rgb(d.decode_image(image)), RGB)


def bad(encoding="rgb8", width=4, height=2, step=12, size=24):
    return Image(encoding=encoding, width=width, height=height, step=step, data=array.array("B", bytes(size)))


@pytest.mark.parametrize(
    "image, kind, text",
    [
        (
            bad("32FC1"),
            "encoding",
            r"encoding '32FC1' is not supported: publish one of rgb8, bgr8, .*bayer_grbg16$",
        ),
        (bad(""), "encoding", "encoding '' is not supported"),
        (bad("x" * 1000), "encoding", "encoding 'x{40}' is not supported"),
        (bad(width=0), "size", "image is 0×2 pixels: width and height must be 1 to 16384"),
        (bad(height=0), "size", "image is 4×0 pixels"),
        (bad(width=16385, step=3 * 16385), "size", "image is 16385×2 pixels"),
        (bad(height=2**32 - 1), "size", "image is 4×4294967295 pixels"),
        (bad(step=11), "data", "step is 11 bytes, but a row of 4 pixels of rgb8 has 12"),
        (bad(step=0), "data", "step is 0 bytes"),
        (bad("mono16", step=7), "data", "step is 7 bytes, but a row of 4 pixels of mono16 has 8"),
        (bad(size=23), "data", r"data has 23 bytes, but height × step = 2 × 12 = 24 for rgb8"),
        (bad(step=2**32 - 1), "data", "data has 24 bytes, but height × step = 2 × 4294967295 = 8589934590"),
        (bad(size=0), "data", "data has 0 bytes"),
        (
            bad("nv12", step=4, size=11),
            "data",
            r"data has 11 bytes, but 3/2 height .* × step = 3 × 4 = 12 for nv12",
        ),
        (
            bad("nv12", width=3, step=4),
            "size",
            "image is 3×2 pixels, but nv12 .* needs an even width and height",
        ),
        (
            bad("nv21", height=3, step=4),
            "size",
            "image is 4×3 pixels, but nv21 .* needs an even width and height",
        ),
        (bad("yuyv", width=3, step=6), "size", "image is 3×2 pixels, but yuyv .* needs an even width:"),
    ],
)
def test_bad_image(image, kind, text):
    with pytest.raises(d.MessageError, match=text) as error:
        d.decode_image(image)
    assert error.value.kind == kind


HEADER = Header(stamp=Time(sec=12, nanosec=345), frame_id="camera_optical")


def masks():
    """A mask in the three memory layouts that occur: contiguous, a crop and a transposed one."""
    whole = np.random.default_rng(0).integers(0, 12, (HEIGHT, WIDTH), dtype=np.uint8)
    return whole, whole[3:, 5:-4], whole.T


@pytest.mark.parametrize("mask", masks(), ids=["contiguous", "crop", "transposed"])
def test_mask_message(mask):
    image = m.mono8_message(HEADER, mask)
    assert image.header == HEADER == Header(stamp=Time(sec=12, nanosec=345), frame_id="camera_optical")
    assert (image.height, image.width) == mask.shape and image.step == image.width
    assert image.encoding == "mono8" and not image.is_bigendian
    assert isinstance(image.data, array.array) and len(image.data) == mask.size
    np.testing.assert_array_equal(d.decode_image(image).pixels[..., 0], mask)


@pytest.mark.parametrize("rgb", [RGB, BGR[::-1, ::-1, ::-1]], ids=["contiguous", "reversed"])
def test_rgb_message(rgb):
    image = m.rgb8_message(HEADER, rgb)
    assert image.header == HEADER and image.encoding == "rgb8" and image.step == 3 * WIDTH
    np.testing.assert_array_equal(as_rgb(d.decode_image(image)), rgb)


@pytest.mark.parametrize("mask", masks(), ids=["contiguous", "crop", "transposed"])
def test_png_is_lossless(mask):
    image = m.png_message(HEADER, mask)
    assert image.header == HEADER and image.format == "mono8; png compressed "
    stored = cv2.imdecode(np.frombuffer(image.data, np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(stored, mask)
    np.testing.assert_array_equal(d.decode_compressed(image).pixels, np.dstack([mask] * 3))


def test_jpeg_keeps_the_picture_and_its_colours():
    image = m.jpeg_message(HEADER, RGB)
    assert image.header == HEADER and image.format == "rgb8; jpeg compressed bgr8"
    assert np.abs(as_rgb(d.decode_compressed(image)).astype(int) - RGB).mean() < 3
    assert len(m.jpeg_message(HEADER, RGB, quality=20).data) < len(image.data)


@pytest.mark.parametrize(
    "write, wrong, text",
    [
        (m.mono8_message, RGB, r"array is uint8 of shape \(24, 32, 3\): expected uint8 \(H, W\)"),
        (
            m.png_message,
            GREY.astype(np.int64),
            r"array is int64 of shape \(24, 32\): expected uint8 \(H, W\)",
        ),
        (m.rgb8_message, GREY, r"expected uint8 \(H, W, 3\)"),
        (m.jpeg_message, np.dstack([RGB, GREY]), r"expected uint8 \(H, W, 3\)"),
    ],
)
def test_wrong_array_is_refused(write, wrong, text):
    with pytest.raises(ValueError, match=text):
        write(HEADER, wrong)


@pytest.mark.parametrize("ns", [0, 1, 999_999_999, 1_000_000_000, 1_700_000_000_123_456_789, -1])
def test_stamps_round_trip(ns):
    stamp = m.time_message(np.int64(ns))
    assert stamp_ns(stamp) == ns and 0 <= stamp.nanosec < 1_000_000_000


def test_the_last_second_takes_what_is_left():
    """Stamp of a camera with a wrong clock; no second follows."""
    last = Time(sec=2**31 - 1, nanosec=2**32 - 1)
    assert m.time_message(stamp_ns(last)) == last
