"""Conversion between `sensor_msgs` images and numpy arrays, with the encoding semantics of cv_bridge but without it.

This is the border where pictures from other programs are checked, once: behind it every array has the size that it claims.
Nothing is copied that need not be: rgb8 and bgr8 are read in place, and an outgoing picture is copied once, into the message.
"""
from typing import NamedTuple

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CompressedImage, Image

from dcfm_ros.pipeline.frames import InputError

MAX_SIDE = 16384           # pixels; keeps a forged width or height from asking for gigabytes
NS_PER_S = 1_000_000_000


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


def decode_image(message: Image) -> DecodedImage:
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


def _rows(message: Image, layout: _Layout) -> np.ndarray:
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


def decode_compressed(message: CompressedImage) -> DecodedImage:
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


def mono8_message(header, array: np.ndarray) -> Image:
    """A mask or a confidence, (H, W) uint8, as a mono8 message with step == width; `header` is passed on untouched."""
    return _image_message(header, array, "mono8", channels=None)


def rgb8_message(header, array: np.ndarray) -> Image:
    """A picture, (H, W, 3) uint8 RGB, as an rgb8 message with step == 3 × width; `header` is passed on untouched."""
    return _image_message(header, array, "rgb8", channels=3)


def camera_message(header, pixels: np.ndarray, encoding: str) -> Image | CompressedImage:
    """What a camera sends. encoding: rgb8, bgr8 (H, W, 3), mono8 (H, W), or jpeg, png of an RGB picture (H, W, 3)."""
    if encoding == "jpeg":
        return jpeg_message(header, pixels)
    if encoding == "png":
        return _compressed_message(header, "rgb8; png compressed bgr8", ".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [])
    return _image_message(header, pixels, encoding, channels=None if encoding == "mono8" else 3)


def png_message(header, mask: np.ndarray) -> CompressedImage:
    """A mask, (H, W) uint8, as a lossless PNG message that image_transport's subscribers read as mono8."""
    _check_array(mask, channels=None)
    # The trailing space is image_transport's: the order of the channels would follow it.
    return _compressed_message(header, "mono8; png compressed ", ".png", mask, [])


def jpeg_message(header, rgb: np.ndarray, quality: int = 85) -> CompressedImage:
    """A picture, (H, W, 3) uint8 RGB, as a JPEG message of `quality` 0 to 100. For people to look at: JPEG changes labels."""
    _check_array(rgb, channels=3)
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    return _compressed_message(header, "rgb8; jpeg compressed bgr8", ".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])


def _check_array(array: np.ndarray, channels: int | None) -> None:
    """Outgoing arrays are our own, so a wrong one is a programming error: ValueError, not MessageError."""
    shape = "(H, W)" if channels is None else f"(H, W, {channels})"
    if array.dtype != np.uint8 or array.ndim != (2 if channels is None else 3) or array.shape[2:] not in ((), (channels,)):
        raise ValueError(f"array is {array.dtype} of shape {array.shape}: expected uint8 {shape}")


def _image_message(header, array: np.ndarray, encoding: str, channels: int | None) -> Image:
    _check_array(array, channels)
    height, width = array.shape[:2]
    message = Image(header=header, height=height, width=width, encoding=encoding, step=width * (channels or 1))
    _append(message.data, array)
    return message


def _compressed_message(header, image_format: str, extension: str, picture: np.ndarray, options: list) -> CompressedImage:
    encoded, data = cv2.imencode(extension, picture, options)
    if not encoded:
        raise ValueError(f"OpenCV could not encode an array of shape {picture.shape} as {extension}")
    message = CompressedImage(header=header, format=image_format)
    _append(message.data, data)
    return message


def _append(data, array: np.ndarray) -> None:
    """Copy `array`, in row order, to the end of a message's data (an `array.array` of bytes, empty in a new message).

    Filling the buffer in place is one memcpy; assigning a list or a numpy array to `message.data` is some 200 times slower,
    because rclpy then visits every byte.
    """
    data.frombytes(memoryview(np.ascontiguousarray(array)))


def stamp_ns(stamp: Time) -> int:
    """A stamp as nanoseconds."""
    return stamp.sec * NS_PER_S + stamp.nanosec


def time_message(ns: int) -> Time:
    """Nanoseconds as a stamp."""
    sec, nanosec = divmod(int(ns), NS_PER_S)
    return Time(sec=sec, nanosec=nanosec)
