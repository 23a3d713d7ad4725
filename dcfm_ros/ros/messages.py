# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Conversion from numpy arrays to `sensor_msgs` images; for the reverse see `pipeline/decoding.py`.

An outgoing image is copied once, into the message.
"""

import sys

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CompressedImage, Image

from dcfm_ros.stamps import NS_PER_S

_LAST_S = 2**31 - 1  # of int32 seconds


def mono8_message(header, array: np.ndarray) -> Image:
    """Return a mask or confidence, (H, W) uint8, as a mono8 message with step == width and this `header`."""
    return _image_message(header, array, "mono8", channels=None)


def rgb8_message(header, array: np.ndarray) -> Image:
    """Return a picture, (H, W, 3) uint8 RGB, as an rgb8 message with step == 3 × width and this `header`."""
    return _image_message(header, array, "rgb8", channels=3)


def channels_message(header, array: np.ndarray) -> Image:
    """Return several values per pixel, (H, W, n) uint8 or float32, as an 8UCn or 32FCn message with this
    `header`."""
    height, width, channels = array.shape
    message = Image(
        header=header,
        height=height,
        width=width,
        encoding=f"{'8U' if array.dtype == np.uint8 else '32F'}C{channels}",
        is_bigendian=sys.byteorder == "big",
        step=width * channels * array.itemsize,
    )
    _append(message.data, array)
    return message


def camera_message(header, pixels: np.ndarray, encoding: str) -> Image | CompressedImage:
    """Return an image as a camera publishes it. encoding: rgb8, bgr8 (H, W, 3), mono8 (H, W), or jpeg, png of
    an RGB picture (H, W, 3)"""
    if encoding == "jpeg":
        return jpeg_message(header, pixels)
    if encoding == "png":
        return _compressed_message(
            header, "rgb8; png compressed bgr8", ".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), []
        )
    return _image_message(header, pixels, encoding, channels=None if encoding == "mono8" else 3)


def png_message(header, mask: np.ndarray) -> CompressedImage:
    """Return a mask, (H, W) uint8, as a lossless PNG message that image_transport's subscribers read as
    mono8."""
    _check_array(mask, channels=None)
    # The trailing space is image_transport's: the channel order would follow it.
    return _compressed_message(header, "mono8; png compressed ", ".png", mask, [])


def jpeg_message(header, rgb: np.ndarray, quality: int = 85) -> CompressedImage:
    """Return a picture, (H, W, 3) uint8 RGB, as a JPEG message of `quality` 0 to 100. For display only: JPEG
    changes labels."""
    _check_array(rgb, channels=3)
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    return _compressed_message(
        header, "rgb8; jpeg compressed bgr8", ".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality]
    )


def _check_array(array: np.ndarray, channels: int | None) -> None:
    """Check an outgoing array. A wrong one is a programming error, hence ValueError instead of
    MessageError."""
    shape = "(H, W)" if channels is None else f"(H, W, {channels})"
    if (
        array.dtype != np.uint8
        or array.ndim != (2 if channels is None else 3)
        or array.shape[2:] not in ((), (channels,))
    ):
        raise ValueError(f"array is {array.dtype} of shape {array.shape}: expected uint8 {shape}")


def _image_message(header, array: np.ndarray, encoding: str, channels: int | None) -> Image:
    _check_array(array, channels)
    height, width = array.shape[:2]
    message = Image(
        header=header, height=height, width=width, encoding=encoding, step=width * (channels or 1)
    )
    _append(message.data, array)
    return message


def _compressed_message(
    header, image_format: str, extension: str, picture: np.ndarray, options: list
) -> CompressedImage:
    encoded, data = cv2.imencode(extension, picture, options)
    if not encoded:
        raise ValueError(f"OpenCV could not encode an array of shape {picture.shape} as {extension}")
    message = CompressedImage(header=header, format=image_format)
    _append(message.data, data)
    return message


def _append(data, array: np.ndarray) -> None:
    """Append `array`, in row order, to a message's data (an `array.array` of bytes, empty in a new message).

    Filling the buffer in place is one memcpy; assigning a list or a numpy array to `message.data` is some 200
    times slower, because rclpy then visits every byte.
    """
    data.frombytes(np.ascontiguousarray(array).data.cast("B"))


def time_message(ns: int) -> Time:
    """Convert nanoseconds to a stamp. Every value of `stamp_ns` fits: the last second may have more than 10^9
    nanoseconds."""
    sec = min(int(ns) // NS_PER_S, _LAST_S)
    return Time(sec=sec, nanosec=int(ns) - sec * NS_PER_S)
