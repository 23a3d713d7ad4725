# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Decoding of image messages to pixels, with the encoding semantics of cv_bridge but without it.

Images from other programs are validated here, once: afterwards every array has the size that it claims.
Unnecessary copies are avoided: rgb8 and bgr8 are read in place. Messages are accessed by their fields (those
of `sensor_msgs`), whichever library created them, so recordings need no ROS.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np

from dcfm_ros import jpeg
from dcfm_ros.pipeline.compressed_format import (
    StatedFormat,
    is_compressed_depth,
    is_video_stream,
    other_codec,
    read_format,
)
from dcfm_ros.pipeline.frames import InputError
from dcfm_ros.pipeline.png import PNG_START, pixels_alone, read_png
from dcfm_ros.pipeline.settings import MAX_PIXELS, MAX_SIDE


class ImageMessage(Protocol):
    """A `sensor_msgs/Image`."""

    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: Any  # object with the buffer protocol: an array.array of rclpy, a numpy array of recordings


class CompressedMessage(Protocol):
    """A `sensor_msgs/CompressedImage`."""

    format: str
    data: Any


class MessageError(InputError):
    """An image message that cannot be used; the text names the value and the remedy.

    `kind` is a stable word for counters: "message" (its bytes), "encoding", "size" (width, height), "data"
    (step, length) or "decode" (JPEG, PNG).
    """


class DecodedImage(NamedTuple):
    """A decoded image."""

    pixels: (
        np.ndarray
    )  # (H, W, 3) uint8; rows may be padded; for rgb8, bgr8 and 8UC3 the message's own memory: do not write
    is_bgr: bool  # channel order of `pixels`: BGR if true, else RGB


class _Layout(NamedTuple):
    """Memory layout of an encoding, and its conversion to three channels."""

    channels: int  # bytes per pixel in one row (for nv12 and nv21: of the brightness plane)
    to_bgr: int | None = None  # cv2.cvtColor code; None if the bytes are the pixels already
    even_width: bool = False  # two neighbours in a row share one colour
    even_height: bool = False  # two rows share one row of colours, which follows the brightness plane
    is_wide: bool = False  # two bytes per value


_LAYOUTS = {
    "rgb8": _Layout(3),
    "bgr8": _Layout(3),
    "rgba8": _Layout(4, cv2.COLOR_RGBA2BGR),
    "bgra8": _Layout(4, cv2.COLOR_BGRA2BGR),
    "mono8": _Layout(1, cv2.COLOR_GRAY2BGR),
    "rgb16": _Layout(6, is_wide=True),
    "bgr16": _Layout(6, is_wide=True),
    "rgba16": _Layout(8, cv2.COLOR_RGBA2BGR, is_wide=True),
    "bgra16": _Layout(8, cv2.COLOR_BGRA2BGR, is_wide=True),
    "mono16": _Layout(2, cv2.COLOR_GRAY2BGR, is_wide=True),
    "8UC1": _Layout(1, cv2.COLOR_GRAY2BGR),
    "8UC3": _Layout(3),
    "yuv422": _Layout(2, cv2.COLOR_YUV2BGR_UYVY, even_width=True),
    "uyvy": _Layout(2, cv2.COLOR_YUV2BGR_UYVY, even_width=True),
    "yuv422_yuy2": _Layout(2, cv2.COLOR_YUV2BGR_YUY2, even_width=True),
    "yuyv": _Layout(2, cv2.COLOR_YUV2BGR_YUY2, even_width=True),
    "nv12": _Layout(1, cv2.COLOR_YUV2BGR_NV12, even_width=True, even_height=True),
    "nv21": _Layout(1, cv2.COLOR_YUV2BGR_NV21, even_width=True, even_height=True),
}
# OpenCV names a Bayer pattern after the second and third pixel of the second row, ROS after the first two
# rows from the corner: hence RGGB is cv2's "BG". Newer versions also have COLOR_BayerRGGB2BGR, but these
# names exist in all versions.
_BAYER = {
    "rggb": cv2.COLOR_BayerBG2BGR,
    "bggr": cv2.COLOR_BayerRG2BGR,
    "gbrg": cv2.COLOR_BayerGR2BGR,
    "grbg": cv2.COLOR_BayerGB2BGR,
}
_LAYOUTS |= {f"bayer_{pattern}8": _Layout(1, to_bgr) for pattern, to_bgr in _BAYER.items()}
_LAYOUTS |= {f"bayer_{pattern}16": _Layout(2, to_bgr, is_wide=True) for pattern, to_bgr in _BAYER.items()}
SUPPORTED_ENCODINGS = tuple(_LAYOUTS)
_NAMES = frozenset(encoding.lower() for encoding in SUPPORTED_ENCODINGS)


def decode_image(message: ImageMessage) -> DecodedImage:
    """Decode a raw image message of any `step` (bytes per row, padding included).

    rgb8, bgr8 and 8UC3 (taken as BGR) are returned as a view of the message's data; everything else is
    converted to BGR. 16 bits keep the high byte (value >> 8); cv_bridge scales by 255/65535 and rounds, which
    differs by at most one grey level. YUV is BT.601 with limited range, as in cv_bridge. For nv12 and nv21
    `height` counts the brightness rows, and height / 2 rows of colour follow, with the same `step`. Alpha is
    dropped. Excess data is ignored.
    Raises MessageError (kinds "encoding", "size", "data").
    """
    encoding, width, height = message.encoding, message.width, message.height
    layout = _LAYOUTS.get(encoding)
    if layout is None:
        raise _unsupported(encoding)
    _check_size(width, height)
    if (layout.even_width and width % 2) or (layout.even_height and height % 2):
        sides = "width and height" if layout.even_height else "width"
        raise MessageError(
            "size",
            f"image is {width}×{height} pixels, but {encoding} shares colours between neighbours and "
            f"needs an even {sides}: crop the picture or publish another encoding",
        )
    rows = _rows(message, layout)
    if layout.is_wide:
        # Extracting the high byte is the shift; it needs no byte swap and works for big-endian images as
        # well.
        first = 0 if message.is_bigendian else 1
        rows = cv2.merge([cv2.extractChannel(rows, byte) for byte in range(first, layout.channels, 2)])
    if layout.to_bgr is None:
        return DecodedImage(rows, is_bgr=not encoding.startswith("rgb"))
    return DecodedImage(cv2.cvtColor(rows, layout.to_bgr), is_bgr=True)


def _check_size(width: int, height: int) -> None:
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise MessageError(
            "size",
            f"image is {width}×{height} pixels: width and height must be 1 to {MAX_SIDE}; "
            "check the driver or scale the picture down",
        )
    if width * height > MAX_PIXELS:
        raise MessageError(
            "size", f"image is {width}×{height} pixels, in all more than {MAX_PIXELS}: scale the picture down"
        )


def _rows(message: ImageMessage, layout: _Layout) -> np.ndarray:
    """Return a view of the image's bytes without row padding: (rows, width) or (rows, width, channels)
    uint8."""
    width, step = message.width, message.step
    row_bytes = width * layout.channels
    if step < row_bytes:
        raise MessageError(
            "data",
            f"step is {step} bytes, but a row of {width} pixels of {message.encoding} has {row_bytes}: "
            "the publisher must set step to the bytes per row",
        )
    row_count, formula = message.height, "height"
    if layout.even_height:
        row_count, formula = message.height * 3 // 2, "3/2 height (brightness, then colours)"
    needed = row_count * step
    if len(message.data) < needed:
        raise MessageError(
            "data",
            f"data has {len(message.data)} bytes, but {formula} × step = {row_count} × {step} = "
            f"{needed} for {message.encoding}: the publisher sent a truncated picture, or a wrong "
            "step or height",
        )
    rows = np.frombuffer(message.data, np.uint8, count=needed).reshape(row_count, step)[:, :row_bytes]
    return rows if layout.channels == 1 else rows.reshape(row_count, width, layout.channels)


def decode_compressed(message: CompressedMessage) -> DecodedImage:
    """Decode a JPEG or PNG message of image_transport's `compressed` topics, with the same result as its
    subscriber.

    The data determines the codec and the size, which is checked before decoding. `format` determines the rest
    (`compressed_format.py`): a Bayer mosaic is converted to colours, the channel order is respected, and
    depth or thermal images are refused as on raw topics. An EXIF rotation is not applied, since a mask has to
    match the pixels as the camera sent them. Grey becomes three channels, 16 bits keep the high byte, alpha
    is dropped. A JPEG may lack its end marker, but no pixels. Damaged content that still yields all pixels
    decodes with artefacts, which the codec cannot detect.
    Raises MessageError (kinds "encoding", "decode", "size").
    """
    data, text = bytes(message.data), message.format[:60]
    stated = read_format(text, _NAMES)
    if stated.is_depth or is_compressed_depth(data):
        raise MessageError(
            "encoding",
            f"compressed image with format {text!r} holds depth, heat or other numbers and no colours: "
            "subscribe to the camera's colour images",
        )
    if (frame := jpeg.read_jpeg(data)) is not None:
        return _finished(_jpeg_pixels(data, frame), data, text, stated)
    if (png := read_png(data)) is not None:
        _check_size(png.width, png.height)
        if png.is_grey and png.bits == 16 and not stated.held.endswith("16"):
            raise MessageError(
                "encoding",
                f"format {text!r} does not state whether the 16 bits of this grey PNG are brightness or "
                "depth: for brightness publish 'mono16; png compressed '",
            )
        pixels = _decoded(pixels_alone(data), png.is_grey) if png.may_be_whole else None
        return _finished(pixels, data, text, stated)
    raise _unread(data, text, stated)


def _jpeg_pixels(data: bytes, frame: jpeg.JpegFrame) -> np.ndarray | None:
    """Same as `_decoded`, but None also if the last pixels are missing."""
    _check_size(frame.width, frame.height)
    has_known_channels = frame.channels in (1, 3) or (frame.channels == 4 and frame.has_adobe_marker)
    if not (frame.is_common and frame.bits == 8 and has_known_channels):
        raise MessageError(
            "encoding",
            f"JPEG of {frame.channels} channels with {frame.bits} bits is of a rare kind (lossless, "
            "arithmetic coding, more than 8 bits, or not grey or YCbCr): let the camera write "
            "baseline JPEG",
        )
    pixels = _decoded(jpeg.with_end(data, frame), frame.channels == 1) if frame.may_be_whole else None
    return None if pixels is None or jpeg.looks_cut(data, frame, pixels) else pixels


def _decoded(data: bytes, is_grey: bool) -> np.ndarray | None:
    """Return (H, W) if grey, else (H, W, 3) BGR; uint8, or uint16 for a PNG. None if the data is damaged."""
    colours = cv2.IMREAD_GRAYSCALE if is_grey else cv2.IMREAD_COLOR
    try:
        return cv2.imdecode(
            np.frombuffer(data, np.uint8), colours | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
        )
    except cv2.error:  # exceeds OpenCV's own limit of 2**30 pixels
        return None


def _finished(pixels: np.ndarray | None, data: bytes, text: str, stated: StatedFormat) -> DecodedImage:
    """Convert to three channels of 8 bits."""
    if pixels is None:
        raise _unread(data, text, stated)
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    if pixels.ndim == 3:
        return DecodedImage(pixels, is_bgr=not stated.is_rgb)
    if stated.held and stated.held not in _NAMES:  # brightness, or a mosaic?
        raise _unsupported(stated.held)
    mosaic = _LAYOUTS[stated.held].to_bgr if stated.held.startswith("bayer_") else None
    to_bgr = cv2.COLOR_GRAY2BGR if mosaic is None else mosaic
    return DecodedImage(cv2.cvtColor(pixels, to_bgr), is_bgr=True)


def _unsupported(encoding: str) -> MessageError:
    return MessageError(
        "encoding",
        f"encoding {encoding[:40]!r} is not supported: publish one of {', '.join(SUPPORTED_ENCODINGS)}",
    )


def _unread(data: bytes, text: str, stated: StatedFormat) -> MessageError:
    """Return the reason why the data of a compressed image cannot be decoded."""
    if not data:
        return MessageError(
            "decode",
            f"compressed image with format {text!r} has no data: its publisher could not encode the "
            "picture, and its log says why",
        )
    if other := other_codec(data):
        return MessageError(
            "encoding",
            f"compressed image is {other}, and only JPEG and PNG are read: choose one of them where it "
            "is published (image_transport: the parameter `<topic>.compressed.format`)",
        )
    is_picture = data.startswith((jpeg.START, PNG_START))
    if is_video_stream(data) or (stated.is_video and not is_picture):
        return MessageError(
            "encoding",
            f"compressed image with format {text!r} is a part of a video, and no picture of its own: "
            "subscribe to the camera's raw or `compressed` topic, or to what a decoder node makes of "
            "the video",
        )
    return MessageError(
        "decode",
        f"compressed image of {len(data)} bytes with format {text!r} is not a whole JPEG or PNG picture: "
        "look for a failing cable, a lossy network or a full buffer of the camera if it happens now and "
        "then, and subscribe to a `compressed` topic if always",
    )
