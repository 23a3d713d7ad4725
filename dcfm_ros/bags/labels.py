# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ground-truth labels for a recording's images, from a topic of it or a folder beside it; matched by
stamp."""

from __future__ import annotations

import re
import zlib
from collections import defaultdict, deque
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from dcfm_ros.bags.errors import BagError
from dcfm_ros.bags.label_pixels import LabelPixels
from dcfm_ros.bags.reading import Bag
from dcfm_ros.bags.topics import CameraTopic, image_topic
from dcfm_ros.bags.types import COMPRESSED_IMAGE
from dcfm_ros.pipeline.frames import InputError
from dcfm_ros.pipeline.png import PNG_START
from dcfm_ros.sources.clips.classes_file import FILE, classes_of_labels, read_classes
from dcfm_ros.stamps import NS_PER_S, stamp_ns


class Labels(Protocol):
    """The labels of one camera."""

    unused: int  # labels that no image has asked for yet

    def take(self, stamp_ns: int, size: tuple[int, int]) -> np.ndarray | None:
        """Return the label of the image with this stamp and size (height, width) as (H, W) uint8 class ids;
        None if there is none.

        Each label is returned once: of several images with equal stamps, the first gets the first label.
        Raises InputError for a label that cannot be used.
        """


def open_labels(
    bag: Bag, cameras: Sequence[CameraTopic], labels: Sequence[str], class_names: Sequence[str] = ()
) -> dict[str, Labels]:
    """Return the labels by camera name, with the model's class ids.

    labels: one topic per camera, in the order of the cameras; or one folder with images named by their
        stamps, which for several cameras has a subfolder for each, named like the camera
    class_names: of the model, to which the classes of a `classes.yaml` are matched: of one in or beside the
        folder of labels, for topics of one in the folder of the recording
    """
    if not labels:
        return {}
    if len(labels) == 1 and Path(labels[0]).is_dir():
        folder = Path(labels[0])
        return {camera.name: _folder_labels(folder, camera.name, class_names) for camera in cameras}
    if len(labels) != len(cameras):
        names = ", ".join(camera.topic.name for camera in cameras)
        raise BagError(
            f"{len(labels)} label topics for {len(cameras)} cameras ({names}): give one for each, in their "
            "order, or one folder"
        )
    if not any(topic.name == labels[0] for topic in bag.topics) and not labels[0].startswith("/"):
        raise BagError(f"labels {labels[0]}: there is no such folder, and {bag.path} has no such topic")
    file = (bag.path if bag.path.is_dir() else bag.path.parent) / FILE
    pixels = LabelPixels.of(read_classes(file) if file.is_file() else None, class_names)
    return {camera.name: TopicLabels(bag, topic, pixels) for camera, topic in zip(cameras, labels)}


def _folder_labels(folder: Path, camera: str, class_names: Sequence[str]) -> FolderLabels:
    about = classes_of_labels(folder / camera)
    if about is None and camera:
        about = classes_of_labels(folder)
    return FolderLabels(folder / camera, LabelPixels.of(about, class_names))


class TopicLabels:
    """Labels from a topic, all read in advance: an image and its label need not be close to each other in the
    recording. They are kept compressed, some kilobytes each."""

    def __init__(self, bag: Bag, topic_name: str, pixels: LabelPixels):
        topic = image_topic(bag, topic_name)
        self._topic, self._pixels = topic_name, pixels
        self._by_stamp: defaultdict[int, deque] = defaultdict(deque)
        self.unused = 0
        for _, _, raw in bag.messages([topic]):
            try:
                message = bag.decode(topic, raw)
            except InputError:
                continue  # without a stamp it matches no image
            self._by_stamp[stamp_ns(message.header.stamp)].append(
                self._pack(message, topic.msgtype == COMPRESSED_IMAGE)
            )
            self.unused += 1

    def take(self, stamp_ns: int, size: tuple[int, int]) -> np.ndarray | None:
        if not (waiting := self._by_stamp.get(stamp_ns)):
            return None
        self.unused -= 1
        packed = waiting.popleft()
        if isinstance(packed, InputError):
            raise packed
        data, shape = packed
        if shape is None:
            return self._pixels.of_png(data, size, f"on {self._topic}")
        _check_size(shape, size, f"a label on {self._topic}")
        return np.frombuffer(zlib.decompress(data), np.uint8).reshape(shape)

    def _pack(self, message, compressed: bool):
        """Return a message's label in compressed form: (bytes, (H, W)), or (bytes, None) for a PNG, or the
        InputError if it cannot be used."""
        if compressed:
            data = bytes(message.data)
            return (
                (data, None)
                if data.startswith(PNG_START)
                else InputError(
                    "label",
                    f"a label on {self._topic} of format {message.format[:40]!r} is not a PNG: publish class "
                    f"ids as PNG, as other formats alter them, or as {' or '.join(self._pixels.encodings)}",
                )
            )
        try:
            ids = self._pixels.of_message(message, self._topic)
        except InputError as error:
            return error
        return zlib.compress(ids.data, 1), ids.shape


class FolderLabels:
    """PNG files named by the image's stamp: `<nanoseconds>.png` or `<seconds>_<nanoseconds>.png`."""

    def __init__(self, folder: Path, pixels: LabelPixels):
        self._pixels = pixels
        if not folder.is_dir():
            raise BagError(f"there is no folder of labels {folder}")
        self._files: dict[int, Path] = {}
        for file in sorted(folder.glob("*.png")):
            match = re.fullmatch(r"(\d+)(?:[._](\d{9}))?", file.stem)
            if match is None:
                raise BagError(
                    f"label {file} is not named by a stamp: name it <nanoseconds>.png or "
                    "<seconds>_<nanoseconds>.png, nine digits of nanoseconds"
                )
            seconds, nanoseconds = match.groups()
            self._files[
                int(seconds) if nanoseconds is None else int(seconds) * NS_PER_S + int(nanoseconds)
            ] = file
        if not self._files:
            raise BagError(f"the folder of labels {folder} contains no PNG files")
        self.unused = len(self._files)

    def take(self, stamp_ns: int, size: tuple[int, int]) -> np.ndarray | None:
        if (file := self._files.pop(stamp_ns, None)) is None:
            return None
        self.unused -= 1
        return self._pixels.of_png(file, size)


def _check_size(shape: tuple[int, int], size: tuple[int, int], what: str) -> None:
    if shape != tuple(size):
        raise InputError(
            "label",
            f"{what} is {shape[1]}x{shape[0]} but its image {size[1]}x{size[0]}: make both the same size",
        )
