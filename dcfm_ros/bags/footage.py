# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recordings, video files and folders of images, read in the same way: once, in order of time."""

from __future__ import annotations

import glob
import re
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from dcfm_ros.bags.arrivals import image_reader
from dcfm_ros.bags.errors import BagError
from dcfm_ros.bags.finding import find_bags, is_bag, output_names
from dcfm_ros.bags.mcap_index import MAGIC as MCAP_MAGIC
from dcfm_ros.bags.names import STORAGES, numbered, recording_path
from dcfm_ros.bags.reading import Bag, open_bag
from dcfm_ros.bags.sqlite_file import MAGIC as SQLITE_MAGIC
from dcfm_ros.bags.topics import CameraTopic, choose_cameras
from dcfm_ros.pipeline.decoding import DecodedImage
from dcfm_ros.pipeline.frames import InputError
from dcfm_ros.sources.errors import SourceError
from dcfm_ros.sources.listing import files_in
from dcfm_ros.sources.names import natural_key
from dcfm_ros.sources.open import VideoSource, open_source
from dcfm_ros.sources.read import IMAGE_ENDINGS
from dcfm_ros.sources.source_kinds import source_forms
from dcfm_ros.stamps import NS_PER_S, stamp_ns

_SYNTHETIC = "synthetic"


class Shot(NamedTuple):
    """An image that has been read, but not decoded yet."""

    camera: str  # empty if there is only one
    index: int  # type: ignore[assignment]  # among the camera's images, from 0; hides tuple.index
    stamp_ns: int
    time_ns: int  # when it was recorded; never an unset stamp
    decode: Callable[[], np.ndarray]  # (H, W, 3) uint8 RGB; raises InputError or SourceError


class Footage(Protocol):
    """One recording, video file or folder of images."""

    name: str  # for file names, unique among all
    path: str
    counts: dict[str, int]  # images by camera, as the recording counts them
    topics: dict[str, str]  # by camera; empty names where there are no topics
    rates_hz: dict[str, float]  # images per second, by camera
    notes: list[str]

    @property
    def count(self) -> int:
        """Number of images of all cameras."""
        return sum(self.counts.values())

    def shots(self) -> Generator[Shot]:
        """Yield all images in the order in which they were recorded."""

    def identity(self) -> list[Any]:
        """Return what tells whether the files are still the same, as JSON has it."""


def find_footage(given: Sequence[str], leave_out: Path) -> list[tuple[str, Path]]:
    """Return (name, path) of all that was given: recordings, video files, folders of images, folders of
    recordings, globs of these, rendered scenes; each once. Raises BagError for what names nothing.

    leave_out: a folder that is not searched
    """
    paths = {path.resolve(): path for name in given for path in _paths(name, leave_out)}
    names = [
        _plain_name(name, path) for name, path in zip(output_names(list(paths.values())), paths.values())
    ]
    return list(zip(numbered(names), paths.values()))


def open_footage(name: str, path: Path, topics: Sequence[str], rate_hz: float | None) -> Footage:
    """Open what `find_footage` found. Raises BagError, SourceError or OSError."""
    if _is_recording(path):
        return BagFootage(name, path, topics)
    return VideoFootage(name, path, rate_hz)


class BagFootage(Footage):
    """A recording."""

    def __init__(self, name: str, path: Path, topics: Sequence[str]):
        self.name, self.path, self._topics = name, str(path), tuple(topics)
        with open_bag(path) as bag:
            cameras = choose_cameras(bag, self._topics)
            self.topics = {camera.name: camera.topic.name for camera in cameras}
            self.counts = {camera.name: camera.topic.count for camera in cameras}
            span_s = max((bag.end_ns - bag.start_ns) / NS_PER_S, 1e-3)
            self.rates_hz = {name: max(count / span_s, 0.1) for name, count in self.counts.items()}
            self.notes = list(bag.notes)

    def shots(self) -> Generator[Shot]:
        with open_bag(self.path) as bag:
            yield from _shots(bag, choose_cameras(bag, self._topics))
            self.notes += [note for note in bag.notes if note not in self.notes]

    def identity(self) -> list[Any]:
        with open_bag(self.path) as bag:
            return [_file_identity(file) for file in bag.files]


class VideoFootage(Footage):
    """A video file, a folder of images or rendered scenes."""

    def __init__(self, name: str, path: Path, rate_hz: float | None):
        self.name, self.path, self.topics = name, str(path), {"": ""}
        self.notes: list[str] = []
        images = path / "images"  # without the labels beside it
        given = images if images.is_dir() else path
        self._source: VideoSource = open_source(str(given), rate_hz=rate_hz, tell=self.notes.append)
        if self._source.length is None:
            raise SourceError(f"{path} has no end: give some of the scenes, as in synthetic:1-3")
        count = self._source.length
        self.counts, self.rates_hz = {"": count}, {"": self._source.rate_hz}
        if path.is_dir() and count > 1:
            self.notes.append(
                f"its {count} images are taken as consecutive frames of one video at "
                f"{self._source.rate_hz:g} Hz, in order of their names; --rate says another, 1 that of stills"
            )

    def shots(self) -> Generator[Shot]:
        for index in range(self.counts[""]):
            time_ns = round(index * 1e9 / self._source.rate_hz)
            yield Shot("", index, time_ns, time_ns, partial(self._image, index))

    def identity(self) -> list[Any]:
        path = Path(self.path)
        files = sorted(path.rglob("*")) if path.is_dir() else [path] if path.exists() else []
        return [self._source.rate_hz, self.counts[""], *(_file_identity(file) for file in files)]

    def _image(self, index: int) -> np.ndarray:
        return self._source.frame(index).image


def _shots(bag: Bag, cameras: Sequence[CameraTopic]) -> Generator[Shot]:
    by_topic = {camera.topic.key: camera.name for camera in cameras}
    readers = {camera.name: image_reader(bag, camera.topic) for camera in cameras}
    counts: Counter[str] = Counter()

    def arrived(camera: str, arrivals: Sequence[Any]) -> Generator[Shot]:
        for _, log_ns, header, decode in arrivals:
            stamp = log_ns if header is None else stamp_ns(header.stamp)
            yield Shot(camera, counts[camera], stamp or log_ns, log_ns, partial(_rgb, decode))
            counts[camera] += 1

    with closing(bag.messages([camera.topic for camera in cameras])) as messages:
        for number, (topic, log_ns, raw) in enumerate(messages):
            camera = by_topic[topic.key]
            yield from arrived(camera, readers[camera].read(number, log_ns, raw))
    for camera, reader in readers.items():
        yield from arrived(camera, reader.flush())


def _rgb(decode: Callable[[], DecodedImage]) -> np.ndarray:
    decoded = decode()
    return np.ascontiguousarray(decoded.pixels[..., ::-1]) if decoded.is_bgr else decoded.pixels


def _paths(given: str, leave_out: Path) -> list[Path]:
    """Return the recordings, video files and folders of images that an argument names."""
    path = recording_path(Path(given))
    if path.exists():
        is_other = _has_images(path) if path.is_dir() else True
        return [path] if is_other and not _is_recording(path) else find_bags([path], leave_out)
    if given.partition(":")[0] == _SYNTHETIC:
        return [path]
    found = []
    for match in sorted(glob.glob(given, recursive=True), key=natural_key) if glob.has_magic(given) else []:
        with suppress(BagError):  # a folder with nothing in it
            found += _paths(match, leave_out)
    if not found:
        raise BagError(
            f"{given}: nothing found; give a recording (a folder with metadata.yaml, or a file "
            f"{' or '.join(STORAGES)}), {source_forms()}"
        )
    return found


def _is_recording(path: Path) -> bool:
    """Return whether this is a recording, of ROS 1, too, which is refused in its own words."""
    if is_bag(path) or not path.is_file():
        return is_bag(path) or (path.is_dir() and not _has_images(path))
    with path.open("rb") as file:
        start = file.read(16)
    return path.suffix == ".bag" or start.startswith((MCAP_MAGIC, SQLITE_MAGIC))


def _has_images(folder: Path) -> bool:
    return any(files_in(place, IMAGE_ENDINGS) for place in (folder, folder / "images"))


def _plain_name(name: str, path: Path) -> str:
    """Return a name that every annotation tool and file system takes."""
    if path.is_file() and not is_bag(path):
        name = name.removesuffix(path.suffix)
    return re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_") or "recording"


def _file_identity(file: Path) -> list[Any]:
    about = file.stat()
    return [file.name, about.st_size, about.st_mtime_ns]


UNREADABLE = (BagError, SourceError, OSError)  # what a recording can raise that others need not suffer from
DAMAGED = (InputError, SourceError)  # what an image can raise
