# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reads image and label files, with the orientation in which a viewer shows them."""

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
from dcfm_ros.sources.label_values import LabelValues

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
# Pixels of each byte of a file, beyond _SMALL: black PNGs of one bit have 8,000.
_GROWTH, _SMALL = 10_000, 1 << 24

Image.init()  # otherwise Pillow knows only some formats
# Pillow's other formats start programs, or contain no pixels
_FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "PPM", "GIF")
_REMEDY = "save it as JPEG, or as PNG of 8 bits a channel"

# How to rotate the stored pixels upright, by the value of the EXIF orientation.
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

warnings.filterwarnings("ignore", module=r"PIL\.")  # warnings on damaged metadata
Image.MAX_IMAGE_PIXELS = None  # MAX_PIXELS is used instead: Pillow warns from a third of it


def read_image(path: str | Path) -> np.ndarray:
    """Read an image file as (H, W, 3) uint8 RGB, rotated according to its EXIF. Raises SourceError that names
    the file and the problem.

    Of 16-bit values the upper 8 bits are used; transparency and colour profiles are ignored.
    """
    data = _bytes(path)
    with _opened(io.BytesIO(data), path) as image:
        if (count := _pictures(image)) > 1:
            alone = ", or give this file alone, as a video" if image.format in ("GIF", "PNG") else ""
            raise SourceError(
                f"{path} contains {count} pictures, but each image of a folder must contain one; save them "
                f"as separate files{alone}"
            )
        frame = read_jpeg(data)
        if frame is None or (frame.has_end and not _ends_grey(image)):
            return _rgb(_upright(image), path)
    with _opened(io.BytesIO(_whole(data, frame, path)), path) as image:
        return _rgb(_upright(image), path)


def image_size(path: str | Path) -> tuple[int, int]:
    """Return (height, width) of an image file after rotation; for most formats only the header is read."""
    with _file(path) as file, _opened(file, path) as image:
        if image.format == "TIFF":  # Pillow rotates it itself when it is loaded
            image.load()
        # In a PNG the orientation may follow the pixels, so that Pillow decodes them to find it.
        may_turn = image.format != "PNG" or any(mark in Path(path).read_bytes() for mark in _PNG_MARKS)
        exchanged = may_turn and _orientation(image) in _EXCHANGES_SIDES
        width, height = image.size
        return (width, height) if exchanged else (height, width)


def check_png(path: str | Path) -> None:
    """Raise SourceError for a file that is no whole PNG, or too large a one, without decoding it: for readers
    of other libraries, which reserve whatever a length in it asks for."""
    with _file(path) as file, _opened(file, path, "a PNG", ("PNG",)) as image:
        image.verify()


def is_animated(path: str | Path) -> bool:
    """Return whether this is a GIF or PNG with several pictures, which is a video."""
    try:
        with Image.open(path, formats=["GIF", "PNG"]) as image:
            return _pictures(image) > 1
    except Exception:  # whatever it is, it is not animated
        return False


def read_label(
    path: str | Path | BinaryIO,
    size: tuple[int, int],
    name: object = None,
    image: str | Path | None = None,
    values: LabelValues | None = None,
) -> np.ndarray:
    """Read a PNG as (H, W) uint8 class ids, 255 where there is none, rotated according to its EXIF.

    size: (height, width) of the labelled image; another size is an error
    name: name for errors, instead of the path
    image: file of that image, for errors
    values: what the pixels mean. If it is not known, the picture must have a single channel of 8 bits, and
        its values, or the indices of its palette, are returned as they are
    """
    name = path if name is None else name
    data = path.read() if hasattr(path, "read") else _bytes(path)
    # No other format stores class ids unchanged.
    with _opened(io.BytesIO(data), f"label {name}", "a PNG", ("PNG",)) as picture:
        pixels, palette = _label_pixels(_upright(picture))
    _check_label_kind(data, pixels, values, name)
    _check_label_size(pixels.shape[:2], size, name, image)
    return pixels if values is None else values.class_ids(pixels, palette, name)


def _label_pixels(picture: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the pixels of a label, and its palette (n, 3) uint8 if they are indices."""
    pixels = np.array(picture)
    if picture.mode == "I":  # 16 bits, to older Pillow
        pixels = pixels.astype(np.uint16)
    if picture.mode != "P":
        return pixels, None
    return pixels, np.array(picture.getpalette() or [], np.uint8).reshape(-1, 3)


def _check_label_kind(data: bytes, pixels: np.ndarray, values: LabelValues | None, name: object) -> None:
    """Raise SourceError unless values can be read from this kind of PNG."""
    bits, colour_type = data[24], data[25]  # as the header says: Pillow scales some of them to 8 bits
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    only_ids = values is None or values.only_ids
    if channels == 1:
        scaled = colour_type == 0 and bits < 8
        fits = not scaled and pixels.dtype in ((np.uint8,) if only_ids else (np.uint8, np.uint16))
    else:
        scaled = bits > 8
        fits = not scaled and channels in (3, 4) and not only_ids
    if fits:
        return
    kind = f"{bits} bit(s)" if scaled else f"{pixels.dtype}"
    remedy = "save class ids as a single-channel 8-bit PNG"
    if values is None:
        remedy += ", or put a classes.yaml beside the labels that says what their values and colors mean"
    elif not only_ids:
        remedy += ", or colors as an RGB PNG of 8 bits a channel"
    raise SourceError(f"label {name} has {channels} channel(s) of {kind}; {remedy}")


def _check_label_size(
    found: tuple[int, ...], size: tuple[int, int], name: object, image: str | Path | None
) -> None:
    if found != tuple(size):
        if image is not None and found == tuple(size)[::-1] and (turned := _turned(image)):
            raise SourceError(
                f"label {name} is oriented like the stored pixels of {image}, which EXIF orientation "
                f"{turned} rotates to {size[1]}x{size[0]}; rotate the labels likewise, or remove the "
                "orientation from the images (exiftool -Orientation= FOLDER)"
            )
        raise SourceError(
            f"label {name} is {found[1]}x{found[0]} but its image {size[1]}x{size[0]}: "
            "make both the same size"
        )


@contextmanager
def _opened(
    file: BinaryIO, name: object, kind: str = "an image", formats: tuple[str, ...] = _FORMATS
) -> Iterator[Image.Image]:
    """Open a picture without decoding it. Errors of Pillow, here or in the block, are raised as
    SourceError."""
    start = file.read(8)
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    try:
        with Image.open(file, formats=formats) as image:
            if image.width * image.height > MAX_PIXELS:
                raise SourceError(
                    f"{name} is {image.width}x{image.height}; scale it down to {MAX_PIXELS / 1e6:.0f} "
                    "million pixels at most"
                )
            if image.width * image.height > max(_SMALL, _GROWTH * size):
                raise SourceError(
                    f"{name} would be {image.width}x{image.height} out of {size} bytes, more than a picture "
                    "can: it is damaged, or was made to fill the memory"
                )
            yield image
    except SourceError:
        raise
    except Exception as error:  # a damaged file can make Pillow's decoders raise anything
        raise SourceError(f"{name} {_reason(start, kind, error)}") from error


def _reason(start: bytes, kind: str, error: Exception) -> str:
    if kind == "an image" and start[4:] == b"ftyp":
        return f"is a HEIF or AVIF picture, or a video, despite its name; {_REMEDY}"
    if kind == "an image" and start[:2] in (b"II", b"MM") and isinstance(error, Image.UnidentifiedImageError):
        return f"is a TIFF of an unsupported kind; {_REMEDY}"
    return f"cannot be read as {kind}; it is damaged or not what its name says"


def _pictures(image):
    """Return how many pictures of equal rank a file contains."""
    if image.format == "MPO":  # cameras store previews and depth beside the photograph
        return 1
    return getattr(image, "n_frames", 1)


def _orientation(image):
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, struct.error):  # damaged EXIF is ignored
        return 1


def _turned(path):
    """Return the EXIF orientation of an image file; 0 if it does not rotate the image."""
    with _file(path) as file, _opened(file, path) as image:
        value = _orientation(image)
        return value if value in _TURNS else 0


def _upright(image):
    image.load()  # Pillow rotates a TIFF itself, and then removes the orientation
    turn = _TURNS.get(_orientation(image))
    return image if turn is None else image.transpose(turn)


def _rgb(image, path):
    mode = image.mode
    if mode.startswith("I;16") or (mode == "I" and image.format in ("PNG", "PPM")):  # 16-bit grey
        return cv2.cvtColor((np.asarray(image) >> 8).astype(np.uint8), cv2.COLOR_GRAY2RGB)
    if mode in ("I", "F"):
        raise SourceError(f"{path} has 32-bit pixels without a defined white value; {_REMEDY}")
    if mode == "LAB":
        raise SourceError(f"{path} has LAB colours; {_REMEDY}")
    return np.array(image.convert("RGB"))


def _ends_grey(image: Image.Image) -> bool:
    """Return whether the last pixel of a JPEG is the grey with which decoders fill missing data."""
    image.load()
    last = image.getpixel((image.width - 1, image.height - 1))
    return last in (GREY, (GREY,) * 3)


def _whole(data: bytes, frame: JpegFrame, path: str | Path) -> bytes:
    """Return a JPEG with its end marker, if nothing else is missing."""
    whole = with_end(data, frame)
    pixels = None
    if frame.may_be_whole:
        pixels = cv2.imdecode(
            np.frombuffer(whole, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        )
    if pixels is None or misses_data(data, frame, pixels):
        raise SourceError(f"{path} is truncated; copy it again")
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
                f"{path} is a link to {Path(path).readlink()}, which does not exist; fix or remove it"
            ) from error
        raise SourceError(
            f"{path} cannot be read: {error.strerror}; check the file and its permissions"
        ) from error
