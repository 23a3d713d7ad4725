# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One door to every recorded or rendered video: `open_source`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import cv2

from dcfm_ros.sources.classes import ClassTable
from dcfm_ros.sources.errors import SourceError, to_stderr
from dcfm_ros.sources.folder import ImageFolder
from dcfm_ros.sources.frame import VideoFrame
from dcfm_ros.sources.listing import is_other_picture
from dcfm_ros.sources.read import IMAGE_ENDINGS, is_animated

DEFAULT_SEED = 1000  # the first of the synthetic video's RESERVED_SEEDS: never trained on
DEFAULT_SIZE = (480, 360)
DEFAULT_RATE_HZ = 15.0


class VideoSource(Protocol):
    """A video whose frames can be asked for in any order, by one thread at a time."""

    width: int  # pixels; of the first frame where frames differ
    height: int
    rate_hz: float
    length: int | None  # frames; None = endless
    class_table: ClassTable | None  # None = the source does not say what its label ids mean

    def frame(self, index: int) -> VideoFrame:
        """Frame number `index`, from 0; outside the video a SourceError."""


def has_classes(source: VideoSource, names: Sequence[str]) -> bool:
    """Do the source's label ids mean the classes called `names`? Without a class table they are taken to."""
    return source.class_table is None or tuple(name for name, _ in source.class_table) == tuple(names)


def open_source(
    name: str,
    labels: str | None = None,
    rate_hz: float | None = None,
    width: int | None = None,
    height: int | None = None,
    length: int | None = None,
    tell: Callable[[str], None] = to_stderr,
) -> VideoSource:
    """Open the video called `name`.

    name: `synthetic`, `synthetic:SEED` or `synthetic:FIRST-LAST` (some seconds of each seed), a folder of
        images (or one that holds `images/` and perhaps `labels/`), an image, or a video file; a folder that
        is itself called synthetic is `./synthetic`
    labels: folder of `<image stem>.png` with class ids, for a folder of images
    rate_hz: frames per second; by default 15, or what a video file says. Frames are neither dropped nor
        repeated
    width, height: pixels; other frames are resized (labels by nearest neighbour). One alone keeps the aspect
        ratio
    length: use at most this many frames
    tell: is called with each sentence on what a user should know, such as frames that a damaged file lacks
    """
    for what, value in (("width", width), ("height", height), ("length", length)):
        if value is not None and value < 1:
            raise SourceError(f"{what} is {value}; give a whole number above 0")
    if rate_hz is not None and not (rate_hz > 0 and math.isfinite(rate_hz)):
        raise SourceError(f"rate_hz is {rate_hz}; give a number of frames per second above 0")

    kind, _, seed = str(name).partition(":")
    path = Path(name)
    if kind != "synthetic" and not path.exists():
        raise SourceError(
            f"there is no {name}; give a video file, a folder of images, synthetic or synthetic:SEED"
        )
    if labels is not None and not path.is_dir():
        raise SourceError(f"labels {labels} cannot go with {name}; only a folder of images takes labels")

    if any(one.suffix in (".mcap", ".db3") for one in (path, *(path.iterdir() if path.is_dir() else ()))):
        raise SourceError(f"{name} is a recording: `dcfm bag evaluate` and `dcfm bag segment` take it")

    if kind == "synthetic":
        return _open_synthetic(seed, rate_hz or DEFAULT_RATE_HZ, _size(DEFAULT_SIZE, width, height), length)
    if not path.is_dir() and is_other_picture(path):
        raise SourceError(f"{name} is a picture of a format that is not read; save it as JPEG or PNG")
    if path.is_dir() or (path.suffix.lower() in IMAGE_ENDINGS and not is_animated(path)):
        source = ImageFolder(path, labels, rate_hz or DEFAULT_RATE_HZ)
    else:
        from dcfm_ros.sources.video_file import VideoFile  # late: other sources need no PyAV

        source = VideoFile(path, rate_hz, tell)
    resize = width is not None or height is not None
    width, height = _size((source.width, source.height), width, height)
    length = source.length if length is None else min(length, source.length)
    return _View(source, width, height, source.rate_hz, length, source.class_table, resize)


def seed_range(text: str) -> tuple[int, int]:
    """First and last seed of what follows `synthetic:`, SEED or FIRST-LAST; nothing stands for
    DEFAULT_SEED."""
    numbers = text.split("-") if text else [str(DEFAULT_SEED)]
    if len(numbers) > 2 or not all(number.isascii() and number.isdigit() for number in numbers):
        raise SourceError(
            f"synthetic:{text} has no valid seed; give a whole number of 0 or more, or two as in 1000-1019"
        )
    first, last = int(numbers[0]), int(numbers[-1])
    if last < first:
        raise SourceError(f"synthetic video: seeds {first}-{last}: the last is smaller than the first")
    return first, last


def _open_synthetic(seed, rate_hz, size, length):
    from dcfm_ros.sources.reel import SyntheticReel  # late, as the next: other sources need no numba
    from dcfm_ros.sources.synthetic.video import CLASSES, SyntheticVideo

    first, last = seed_range(seed)
    try:
        if "-" not in seed:
            video = SyntheticVideo(first, *size, rate_hz)
        else:
            video = SyntheticReel(first, last, *size, rate_hz)
            length = min(video.length, length or video.length)
    except ValueError as error:
        raise SourceError(f"synthetic video: {error}") from error
    return _View(video, *size, rate_hz, length, CLASSES, resize=False)


def _size(native, width, height):
    """(width, height) wanted, where a missing one follows from the aspect ratio of `native`."""
    if width is None and height is None:
        return native
    if width is None:
        width = max(1, round(height * native[0] / native[1]))
    elif height is None:
        height = max(1, round(width * native[1] / native[0]))
    return width, height


@dataclass(frozen=True)
class _View:
    """Another source, cut to `length` frames and, if asked, brought to one size."""

    source: object
    width: int
    height: int
    rate_hz: float
    length: int | None
    class_table: ClassTable | None
    resize: bool

    def frame(self, index: int) -> VideoFrame:
        if index < 0 or (self.length is not None and index >= self.length):
            end = "endless" if self.length is None else f"{self.length} frames long"
            raise SourceError(f"there is no frame {index}; the source is {end} and frames are counted from 0")
        frame = self.source.frame(index)
        size = (self.width, self.height)
        if not self.resize or frame.image.shape[1::-1] == size:
            return frame
        # Averaging avoids aliasing when the picture shrinks; it would make blocks of pixels when it grows.
        shrinks = frame.image.shape[1] > self.width
        image = cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        label = frame.label
        if label is not None:
            # Plain INTER_NEAREST takes the corner of each pixel and so shifts labels against the picture.
            label = cv2.resize(label, size, interpolation=cv2.INTER_NEAREST_EXACT)
        return replace(frame, image=image, label=label)
