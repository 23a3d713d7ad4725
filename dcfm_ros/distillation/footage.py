# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a teacher looks at: cameras of recordings, videos, folders of images and clips of data sets.

Each is read once, from front to back, without labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from dcfm_ros.bags.clip import Camera
from dcfm_ros.bags.footage import find_footage, open_footage
from dcfm_ros.sources.clips import Clip, open_clips
from dcfm_ros.sources.data_sets import DATA_SETS, SYNTHETIC
from dcfm_ros.sources.errors import SourceError

_OWN = "own recordings, terms not stated"


class Footage(Protocol):
    """Frames in order of time. `length` is what the file says; frames that cannot be used are left out."""

    name: str
    length: int
    rate_hz: float
    terms: str  # source and terms of use, as far as they are known

    def frames(self, wanted: frozenset[int]) -> Iterator[tuple[int, np.ndarray]]:
        """Yield index and picture (H, W, 3) uint8 RGB of the wanted frames, ascending."""


def all_footage(paths: Sequence[str], out: Path, topics: Sequence[str] = ()) -> list[Footage]:
    """Open everything that the paths name: each camera of each recording, each video, each clip of each data
    set. Raises SourceError or BagError if one of them cannot be opened or has no frames.

    out: a folder that is not searched
    topics: of cameras of recordings; all by default
    """
    found: list[Footage] = []
    for path in paths:
        opened = _opened(path, out, topics)
        if not sum(footage.length for footage in opened):
            raise SourceError(f"{path} has no images: give another, or remove it")
        found += [footage for footage in opened if footage.length]
    return found


def _opened(path: str, out: Path, topics: Sequence[str]) -> list[Footage]:
    folder = Path(path)
    is_data_set = folder.is_dir() and any(data_set.recognises(folder) for data_set in DATA_SETS.values())
    if is_data_set or (path.partition(":")[0] == SYNTHETIC and not folder.exists()):
        data = open_clips(path, "train")
        return [_ClipFootage(clip, data.terms) for clip in data.clips]
    return [
        _CameraFootage(Camera(footage, camera))
        for name, place in find_footage([path], out)
        for footage in [open_footage(name, place, topics, None)]
        for camera in footage.topics
    ]


class _CameraFootage:
    """A camera of a recording, a video file or a folder of images."""

    terms = _OWN

    def __init__(self, camera: Camera):
        self.name, self.length, self.rate_hz = camera.name, camera.length, camera.rate_hz
        self._camera = camera

    def frames(self, wanted: frozenset[int]) -> Iterator[tuple[int, np.ndarray]]:
        return self._camera.pictures(wanted)


class _ClipFootage:
    """A clip of a data set."""

    def __init__(self, clip: Clip, terms: str):
        self.name, self.length, self.rate_hz, self.terms = clip.name, clip.length, clip.rate_hz, terms
        self._clip = clip

    def frames(self, wanted: frozenset[int]) -> Iterator[tuple[int, np.ndarray]]:
        for index in sorted(wanted):
            yield index, self._clip.image(index)
