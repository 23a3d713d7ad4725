# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From image messages to pixels, with the encoding semantics of cv_bridge but without it.

This is the border where pictures from other programs are checked, once: behind it every array has the size that it claims.
Nothing is copied that need not be: rgb8 and bgr8 are read in place. Messages are taken by their fields (those of
`sensor_msgs`), whichever library has made them, so recordings need no ROS.
"""
from __future__ import annotations

from typing import NamedTuple, Protocol

import cv2
import numpy as np

from dcfm_ros.pipeline.frames import InputError

MAX_SIDE = 16384           # pixels; keeps a forged width or height from asking for gigabytes


class ImageMessage(Protocol):
    """A `sensor_msgs/Image`."""

    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: object               # bytes, or what lends its bytes


class CompressedMessage(Protocol):
    """A `sensor_msgs/CompressedImage`."""

    format: str
    data: object


class MessageError(InputError):
    """An image message that cannot be used; the text names the value and the remedy.

    `kind` is a stable word for counters: "encoding", "size" (width, height), "data" (step, length) or "decode" (JPEG, PNG).
    """


class DecodedImage(NamedTuple):
    """A received picture."""

    pixels: np.ndarray      # (H, W, 3) uint8; rows may be padded; for rgb8, bgr8 and 8UC3 the message's own memory: do not write
    is_bgr: bool            # channel order of `pixels`: BGR if true, else RGB


class _Layout(NamedTuple):
    """How an encoding lies in memory and what turns it into three channels."""

    channels: int                   # bytes per pixel in one row (for nv12 and nv21: of the brightness plane)
    to_bgr: int | None = None       # cv2.cvtColor code; None where the bytes already are the pixels
    even_width: bool = False        # two neighbours in a row share one colour
    even_height: bool = False       # two rows share one row of colours, which follows the brightness plane


# OpenCV names a Bayer pattern after the second and third pixel of the second row, ROS after the first two rows from the
# corner: hence RGGB is cv2's "BG". Newer versions also have COLOR_BayerRGGB2BGR, but these names exist everywhere.
_LAYOUTS = {
    "rgb8": _Layout(3),
    "bgr8": _Layout(3),
    "rgba8": _Layout(4, cv2.COLOR_RGBA2BGR),
    "bgra8": _Layout(4, cv2.COLOR_BGRA2BGR),
    "mono8": _Layout(1, cv2.COLOR_GRAY2BGR),
    "mono16": _Layout(2, cv2.COLOR_GRAY2BGR),
    "8UC1": _Layout(1, cv2.COLOR_GRAY2BGR),
    "8UC3": _Layout(3),
    "yuv422": _Layout(2, cv2.COLOR_YUV2BGR_UYVY, even_width=True),
    "uyvy": _Layout(2, cv2.COLOR_YUV2BGR_UYVY, even_width=True),
    "yuv422_yuy2": _Layout(2, cv2.COLOR_YUV2BGR_YUY2, even_width=True),
    "yuyv": _Layout(2, cv2.COLOR_YUV2BGR_YUY2, even_width=True),
    "nv12": _Layout(1, cv2.COLOR_YUV2BGR_NV12, even_width=True, even_height=True),
    "nv21": _Layout(1, cv2.COLOR_YUV2BGR_NV21, even_width=True, even_height=True),
    "bayer_rggb8": _Layout(1, cv2.COLOR_BayerBG2BGR),
    "bayer_bggr8": _Layout(1, cv2.COLOR_BayerRG2BGR),
    "bayer_gbrg8": _Layout(1, cv2.COLOR_BayerGR2BGR),
    "bayer_grbg8": _Layout(1, cv2.COLOR_BayerGB2BGR),
}
SUPPORTED_ENCODINGS = tuple(_LAYOUTS)


def decode_image(message: ImageMessage) -> DecodedImage:
    """The pixels of a raw image message, of any `step` (bytes per row, padding included).

    rgb8, bgr8 and 8UC3 (taken as BGR) are returned as a view of the message's data; everything else is converted to BGR.
    mono16 keeps the high byte (value >> 8); cv_bridge scales by 255/65535 and rounds, which differs by at most one grey level.
    YUV is BT.601 with limited range, as in cv_bridge. For nv12 and nv21 `height` counts the brightness rows, and height / 2
    rows of colour follow, with the same `step`. Alpha is dropped. Data beyond what the picture needs is ignored.
    Raises MessageError (kinds "encoding", "size", "data").
    """
    encoding, width, height = message.encoding, message.width, message.height
    layout = _LAYOUTS.get(encoding)
    if layout is None:
        raise MessageError("encoding", f"encoding {encoding[:40]!r} is not supported: publish one of "
                                       f"{', '.join(SUPPORTED_ENCODINGS)}")
    _check_size(width, height)
    if (layout.even_width and width % 2) or (layout.even_height and height % 2):
        sides = "width and height" if layout.even_height else "width"
        raise MessageError("size", f"image is {width}×{height} pixels, but {encoding} shares colours between neighbours and "
                                   f"needs an even {sides}: crop the picture or publish another encoding")
    rows = _rows(message, layout)
    if layout.to_bgr is None:
        return DecodedImage(rows, is_bgr=encoding != "rgb8")
    if encoding == "mono16":
        # Taking the high byte is the shift, needs no byte swap, and reads a big-endian picture as easily.
        rows = cv2.extractChannel(rows, 0 if message.is_bigendian else 1)
    return DecodedImage(cv2.cvtColor(rows, layout.to_bgr), is_bgr=True)


def _check_size(width: int, height: int) -> None:
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise MessageError("size", f"image is {width}×{height} pixels: width and height must be 1 to {MAX_SIDE}; "
                                   "check the driver or scale the picture down")


def _rows(message: ImageMessage, layout: _Layout) -> np.ndarray:
    """The bytes of the picture without row padding, a view: (rows, width) or (rows, width, channels) uint8."""
    width, step = message.width, message.step
    row_bytes = width * layout.channels
    if step < row_bytes:
        raise MessageError("data", f"step is {step} bytes, but a row of {width} pixels of {message.encoding} has {row_bytes}: "
                                   "the publisher must set step to the bytes per row")
    row_count, formula = message.height, "height"
    if layout.even_height:
        row_count, formula = message.height * 3 // 2, "3/2 height (brightness, then colours)"
    needed = row_count * step
    if len(message.data) < needed:
        raise MessageError("data", f"data has {len(message.data)} bytes, but {formula} × step = {row_count} × {step} = "
                                   f"{needed} for {message.encoding}: the publisher sent a truncated picture, or a wrong "
                                   "step or height")
    rows = np.frombuffer(message.data, np.uint8, count=needed).reshape(row_count, step)[:, :row_bytes]
    return rows if layout.channels == 1 else rows.reshape(row_count, width, layout.channels)


def decode_compressed(message: CompressedMessage) -> DecodedImage:
    """The pixels of a JPEG or PNG message, as image_transport's `compressed` topics carry them.

    The data says itself what it is; of `format` ("ENCODING; CODEC compressed [ORDER]", or just the codec) only the order
    matters: "compressed rgb8" marks a writer that stored red where the codec has blue, and image_transport swaps those too.
    An EXIF rotation is not applied: a mask has to lie on the pixels as the camera sent them. Grey becomes three channels,
    16 bits become 8. A JPEG with damaged content in an intact frame still decodes, with artefacts: the codec cannot tell.
    Raises MessageError (kinds "decode", "size").
    """
    data = bytes(message.data)
    # Looking at the first bytes keeps untrusted data away from OpenCV's rarer and less tested decoders. The end marker of a JPEG
    # matters because OpenCV 4.6, the one of ROS 2 Jazzy, fills the missing part of a truncated picture with rubbish.
    is_whole_jpeg = data.startswith(b"\xff\xd8\xff") and b"\xff\xd9" in data
    pixels = None
    if is_whole_jpeg or data.startswith(b"\x89PNG"):
        try:
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        except cv2.error:   # above OpenCV's own limit of 2**30 pixels
            pass
    if pixels is None:
        raise MessageError("decode", f"compressed image of {len(data)} bytes with format {message.format[:40]!r} is not a whole "
                                     "JPEG or PNG picture: subscribe to a `compressed` topic (not compressedDepth or a video "
                                     "codec), or look for a failing camera cable if it happens now and then")
    _check_size(pixels.shape[1], pixels.shape[0])
    return DecodedImage(pixels, is_bgr="compressed rgb" not in message.format)
