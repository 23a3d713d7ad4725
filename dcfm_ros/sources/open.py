# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Entry point for all recorded and rendered videos: `open_source`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from dcfm_ros.sources.classes import ClassTable
from dcfm_ros.sources.errors import SourceError, to_stderr
from dcfm_ros.sources.frame import VideoFrame
from dcfm_ros.sources.label_values import ids_by_name
from dcfm_ros.sources.sizes import wanted_size
from dcfm_ros.sources.source_kinds import SOURCE_KINDS, SourceRequest, source_forms


class VideoSource(Protocol):
    """A video with random access to its frames. Not thread-safe."""

    @property
    def width(self) -> int: ...  # pixels; of the first frame where frames differ

    @property
    def height(self) -> int: ...

    @property
    def rate_hz(self) -> float: ...

    @property
    def length(self) -> int | None: ...  # frames; None = endless

    @property
    def class_table(self) -> ClassTable | None: ...  # None = the source does not say what its label ids mean

    def frame(self, index: int) -> VideoFrame:
        """Return frame number `index`, from 0. Raises SourceError if there is none."""


def in_classes(source: VideoSource, names: Sequence[str]) -> VideoSource | None:
    """Return the source with labels whose ids stand for the classes `names`; itself if it does not say what
    they mean. None if a class of its labels is not among them."""
    if source.class_table is None:
        return source
    found = tuple(name for name, _ in source.class_table)
    if found == tuple(names):
        return source
    ids = ids_by_name(found, names)
    return None if ids is None else _Renumbered(source, ids)


def open_source(
    name: str,
    labels: str | None = None,
    rate_hz: float | None = None,
    width: int | None = None,
    height: int | None = None,
    length: int | None = None,
    tell: Callable[[str], None] = to_stderr,
) -> VideoSource:
    """Open the video with this name.

    name: `synthetic`, `synthetic:SEED` or `synthetic:FIRST-LAST` (some seconds of each seed), a folder of
        images (or one that contains `images/` and optionally `labels/`), an image, or a video file; a folder
        with the name synthetic is `./synthetic`
    labels: folder of `<image stem>.png`, for a folder of images: class ids, or what the `classes.yaml` in it
        or beside it says
    rate_hz: frames per second; default 15, or the rate of a video file. Frames are neither dropped nor
        repeated
    width, height: size in pixels to which frames are resized (labels by nearest neighbour). One alone keeps
        the aspect ratio
    length: use at most this many frames
    tell: called with notes for the user, for example on missing frames of a damaged file
    """
    for what, value in (("width", width), ("height", height), ("length", length)):
        if value is not None and value < 1:
            raise SourceError(f"{what} is {value}; give a whole number above 0")
    if rate_hz is not None and not (rate_hz > 0 and math.isfinite(rate_hz)):
        raise SourceError(f"rate_hz is {rate_hz}; give a number of frames per second above 0")

    name, path = str(name), Path(name)
    kinds = [kind for kind in SOURCE_KINDS if path.exists() or not kind.is_path]
    kind = next((kind for kind in kinds if kind.recognises(name)), None)
    if kind is None:
        raise SourceError(f"there is no {name}; give {source_forms()}")
    if labels is not None and not path.is_dir():
        raise SourceError(
            f"labels {labels} cannot be used with {name}; only a folder of images accepts labels"
        )
    source = kind.open_video(SourceRequest(name, labels, rate_hz, (width, height), tell))
    resize = width is not None or height is not None
    width, height = wanted_size((source.width, source.height), width, height)
    if length is None or (source.length is not None and source.length < length):
        length = source.length
    return _View(source, width, height, source.rate_hz, length, source.class_table, resize)


class _Frames(Protocol):
    def frame(self, index: int) -> VideoFrame: ...


class _Renumbered:
    """Another source, with other label ids."""

    def __init__(self, source: VideoSource, ids: np.ndarray):
        self._source, self._ids = source, ids
        self.width, self.height, self.rate_hz = source.width, source.height, source.rate_hz
        self.length, self.class_table = source.length, None

    def frame(self, index: int) -> VideoFrame:
        frame = self._source.frame(index)
        return frame if frame.label is None else replace(frame, label=self._ids[frame.label])


@dataclass(frozen=True)
class _View:
    """Another source, limited to `length` frames and optionally resized."""

    source: _Frames
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
        # Area averaging avoids aliasing when shrinking, but gives blocky results when enlarging.
        shrinks = frame.image.shape[1] > self.width
        image = cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        label = frame.label
        if label is not None:
            # Plain INTER_NEAREST samples the corner of each pixel, which shifts labels against the image.
            label = cv2.resize(label, size, interpolation=cv2.INTER_NEAREST_EXACT)
        return replace(frame, image=image, label=label)
