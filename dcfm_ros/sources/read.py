# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reading of image and label files, and the order of their names."""
from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np

try:
    from PIL import Image
except ImportError:   # on a machine that only trains: OpenCV reads what it can, slower
    Image = None

from dcfm_ros.sources.errors import SourceError

IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp")

_PNG_START, _PNG_COLOURS, _PALETTE = b"\x89PNG", 25, 3   # 25: where a PNG says how its colours are stored
_JPEG_START, _JPEG_SCAN, _JPEG_END = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"


def natural_key(name: str):
    """Sort key in which numbers inside a name compare as numbers: frame2 comes before frame10."""
    parts = re.split(r"(\d+)", name)
    # The name itself decides between equals such as a1 and a01, so that the order never depends on the disk.
    return [int(p) if i % 2 else p.lower() for i, p in enumerate(parts)], name


def read_image(path: str | Path) -> np.ndarray:
    """(H, W, 3) uint8 RGB of an image file, as the pixels are stored; else a SourceError that names the file."""
    data = _bytes(path)
    # OpenCV fills what is missing of a JPEG with grey.
    if data.startswith(_JPEG_START) and data.find(_JPEG_END, data.find(_JPEG_SCAN)) < 0:
        raise _unreadable(path)
    try:
        # Labels know nothing of a camera's orientation mark, so it is ignored.
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        image = None
    if image is None:
        raise _unreadable(path)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def image_size(path: str | Path) -> tuple[int, int]:
    """(height, width) of an image file, read from its first bytes."""
    if Image is None:
        return read_image(path).shape[:2]
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except (OSError, SyntaxError, ValueError) as error:
        raise _unreadable(path) from error


def read_label(path: str | Path | BinaryIO, size: tuple[int, int], name: object = None) -> np.ndarray:
    """(H, W) uint8 values of a single-channel 8-bit PNG, of a palette's indices where it has one.

    size: (height, width) of the image that it labels; another size is an error
    name: for errors, instead of the path
    """
    name = path if name is None else name
    label = _grey_values(path, name) if Image is None else _values(path, name)
    if label.ndim != 2 or label.dtype != np.uint8:
        channels = 1 if label.ndim == 2 else label.shape[2]
        raise SourceError(f"label {name} has {channels} channel(s) of {label.dtype}; "
                          "save class ids as a single-channel 8-bit PNG")
    if label.shape != tuple(size):
        raise SourceError(f"label {name} is {label.shape[1]}x{label.shape[0]} but its image {size[1]}x{size[0]}; "
                          "bring both to one size")
    return label


def _values(path, name):
    try:
        # Pillow, because OpenCV turns palettes into colours. No other format keeps class ids as they are.
        with Image.open(path, formats=["PNG"]) as image:
            return np.array(image)
    except (OSError, SyntaxError, ValueError) as error:
        raise _unreadable(name, "a PNG") from error


def _grey_values(path, name):
    """Without Pillow: of PNGs that have no palette."""
    data = path.read() if hasattr(path, "read") else _bytes(path)
    if data.startswith(_PNG_START) and data[_PNG_COLOURS] == _PALETTE:
        raise SourceError(f"label {name} has a palette, which needs Pillow: pip install pillow")
    label = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data.startswith(_PNG_START) else None
    if label is None:
        raise _unreadable(name, "a PNG")
    return label


def _bytes(path):
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}; check the file and its permissions") from error


def _unreadable(path, kind="an image"):
    return SourceError(f"{path} cannot be read as {kind}; it is damaged or not what its name says")
