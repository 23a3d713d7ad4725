# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reading of image and label files, as a viewer shows them."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from PIL import Image
from PIL.Image import Transpose

from dcfm_ros.jpeg import GREY, JpegFrame, misses_data, read_jpeg, with_end
from dcfm_ros.sources.errors import SourceError

IMAGE_ENDINGS = (
    ".jpg",
    ".jpeg",
    ".jpe",
    ".jfif",
    ".png",
    ".bmp",
    ".webp",
    ".tif",
    ".tiff",
    ".ppm",
    ".pgm",
    ".pbm",
    ".pnm",
    ".gif",
    ".apng",
    ".mpo",
)
MAX_PIXELS = 1 << 28  # 800 MB as RGB; a damaged header must not ask for more

Image.init()  # else Pillow knows but some formats
_FORMATS = (
    "JPEG",
    "PNG",
    "BMP",
    "WEBP",
    "TIFF",
    "PPM",
    "GIF",
)  # others of Pillow's start programs, or are no pixels
_REMEDY = "save it as JPEG, or as PNG of 8 bits a channel"

# How to lay the stored pixels upright, by the value of EXIF's orientation mark.
_ORIENTATION = 0x0112
_TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
_EXCHANGES_SIDES = (5, 6, 7, 8)
_PNG_MARKS = (b"eXIf", b"Raw profile type", b"XML:com.adobe.xmp")  # chunks that may hold the orientation

warnings.filterwarnings("ignore", module=r"PIL\.")  # of damaged metadata
Image.MAX_IMAGE_PIXELS = None  # MAX_PIXELS is our own bound: Pillow's warns from a third of it on


def read_image(path: str | Path) -> np.ndarray:
    """(H, W, 3) uint8 RGB of an image file, turned upright as its EXIF says; a SourceError names the file and
    what is wrong.

    Of 16 bits the upper 8 are taken; transparency and colour profiles are left out.
    """
    data = _bytes(path)
    with _opened(io.BytesIO(data), path) as image:
        if (count := _pictures(image)) > 1:
            alone = ", or give this file alone, as a video" if image.format in ("GIF", "PNG") else ""
            raise SourceError(
                f"{path} holds {count} pictures, but the images of a folder hold one each; save them as "
                f"files "
                f"of their own{alone}"
            )
        frame = read_jpeg(data)
        if frame is None or (frame.has_end and not _ends_grey(image)):
            return _rgb(_upright(image), path)
    with _opened(io.BytesIO(_whole(data, frame, path)), path) as image:
        return _rgb(_upright(image), path)


def image_size(path: str | Path) -> tuple[int, int]:
    """(height, width) of an image file as `read_image` gives it; of most formats only the header is read."""
    with _file(path) as file, _opened(file, path) as image:
        if image.format == "TIFF":  # Pillow turns it itself, when it is loaded
            image.load()
        # In a PNG the mark may be behind the pixels, so that Pillow decodes them to look for it.
        may_turn = image.format != "PNG" or any(mark in Path(path).read_bytes() for mark in _PNG_MARKS)
        exchanged = may_turn and _orientation(image) in _EXCHANGES_SIDES
        width, height = image.size
        return (width, height) if exchanged else (height, width)


def is_animated(path: str | Path) -> bool:
    """Is it a GIF or PNG of several pictures, which is a video?"""
    try:
        with Image.open(path, formats=["GIF", "PNG"]) as image:
            return _pictures(image) > 1
    except Exception:  # whatever it is, it is no such file
        return False


def read_label(
    path: str | Path | BinaryIO, size: tuple[int, int], name: object = None, image: str | Path | None = None
) -> np.ndarray:
    """(H, W) uint8 values of a single-channel 8-bit PNG, of a palette's indices where it has one, turned
    upright.

    size: (height, width) of the image that it labels; another size is an error
    name: for errors, instead of the path
    image: file of that image, for errors
    """
    name = path if name is None else name
    data = path.read() if hasattr(path, "read") else _bytes(path)
    # No other format keeps class ids as they are.
    with _opened(io.BytesIO(data), f"label {name}", "a PNG", ("PNG",)) as picture:
        label = np.array(_upright(picture))
    if label.ndim != 2 or label.dtype != np.uint8:
        channels = 1 if label.ndim == 2 else label.shape[2]
        raise SourceError(
            f"label {name} has {channels} channel(s) of {label.dtype}; "
            "save class ids as a single-channel 8-bit PNG"
        )
    if label.shape != tuple(size):
        if image is not None and label.shape == tuple(size)[::-1] and (turned := _turned(image)):
            raise SourceError(
                f"label {name} lies as the stored pixels of {image}, which EXIF orientation {turned} turns "
                f"to "
                f"{size[1]}x{size[0]}; turn such labels likewise, or remove that mark from the images "
                "(exiftool -Orientation= FOLDER)"
            )
        raise SourceError(
            f"label {name} is {label.shape[1]}x{label.shape[0]} but its image {size[1]}x{size[0]}; "
            "bring both to one size"
        )
    return label


@contextmanager
def _opened(
    file: BinaryIO, name: object, kind: str = "an image", formats: tuple[str, ...] = _FORMATS
) -> Iterator[Image.Image]:
    """The picture in an open file, not yet decoded. What Pillow finds wrong, now or inside the `with`,
    becomes a SourceError."""
    start = file.read(8)
    file.seek(0)
    try:
        with Image.open(file, formats=formats) as image:
            if image.width * image.height > MAX_PIXELS:
                raise SourceError(
                    f"{name} is {image.width}x{image.height}; scale it down to {MAX_PIXELS / 1e6:.0f} "
                    f"million "
                    "pixels at most"
                )
            yield image
    except SourceError:
        raise
    except Exception as error:  # of many kinds: whatever a damaged file makes Pillow's decoders stumble on
        raise SourceError(f"{name} {_reason(start, kind, error)}") from error


def _reason(start: bytes, kind: str, error: Exception) -> str:
    if kind == "an image" and start[4:] == b"ftyp":
        return f"is a HEIF or AVIF picture, or a video, whatever its name says; {_REMEDY}"
    if kind == "an image" and start[:2] in (b"II", b"MM") and isinstance(error, Image.UnidentifiedImageError):
        return f"is a TIFF of a kind that is not read; {_REMEDY}"
    return f"cannot be read as {kind}; it is damaged or not what its name says"


def _pictures(image):
    """How many of equal rank a file holds."""
    if image.format == "MPO":  # beside the photograph, cameras store previews and depth
        return 1
    return getattr(image, "n_frames", 1)


def _orientation(image):
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, struct.error):  # damaged EXIF says nothing
        return 1


def _turned(path):
    """The EXIF orientation of an image file, 0 where it does not turn the image."""
    with _file(path) as file, _opened(file, path) as image:
        value = _orientation(image)
        return value if value in _TURNS else 0


def _upright(image):
    image.load()  # Pillow turns a TIFF itself, and then takes the mark away
    turn = _TURNS.get(_orientation(image))
    return image if turn is None else image.transpose(turn)


def _rgb(image, path):
    mode = image.mode
    if mode.startswith("I;16") or (mode == "I" and image.format in ("PNG", "PPM")):  # grey of 16 bits
        return cv2.cvtColor((np.asarray(image) >> 8).astype(np.uint8), cv2.COLOR_GRAY2RGB)
    if mode in ("I", "F"):
        raise SourceError(f"{path} has pixels of 32 bits, and does not say which value is white; {_REMEDY}")
    if mode == "LAB":
        raise SourceError(f"{path} has LAB colours; {_REMEDY}")
    return np.array(image.convert("RGB"))


def _ends_grey(image: Image.Image) -> bool:
    """Is the last pixel of a JPEG the grey that decoders fill in for what is missing?"""
    image.load()
    last = image.getpixel((image.width - 1, image.height - 1))
    return last in (GREY, (GREY,) * 3)


def _whole(data: bytes, frame: JpegFrame, path: str | Path) -> bytes:
    """A JPEG with its end marker, if nothing else is missing."""
    whole = with_end(data, frame)
    pixels = None
    if frame.may_be_whole:
        pixels = cv2.imdecode(
            np.frombuffer(whole, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        )
    if pixels is None or misses_data(data, frame, pixels):
        raise SourceError(f"{path} is cut off; copy it again")
    return whole


def _bytes(path: str | Path) -> bytes:
    with _file(path) as file:
        return file.read()


@contextmanager
def _file(path: str | Path) -> Iterator[BinaryIO]:
    try:
        with open(path, "rb") as file:
            yield file
    except OSError as error:
        if Path(path).is_symlink() and not Path(path).exists():
            raise SourceError(
                f"{path} is a link to {Path(path).readlink()}, which is not there; mend or remove it"
            ) from error
        raise SourceError(
            f"{path} cannot be read: {error.strerror}; check the file and its permissions"
        ) from error
