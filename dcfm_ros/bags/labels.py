# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ground-truth labels for a recording's images, from a topic of it or a folder beside it; matched by
stamp."""

from __future__ import annotations

import io
import re
import zlib
from collections import defaultdict, deque
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from dcfm_ros.bags.errors import BagError
from dcfm_ros.bags.reading import Bag
from dcfm_ros.bags.topics import CameraTopic, image_topic
from dcfm_ros.bags.types import COMPRESSED_IMAGE
from dcfm_ros.pipeline.frames import InputError
from dcfm_ros.sources.read import read_label
from dcfm_ros.stamps import NS_PER_S, stamp_ns

_ENCODINGS = ("mono8", "8UC1")
_PNG = b"\x89PNG\r\n\x1a\n"  # first bytes of a PNG file


class Labels(Protocol):
    """The labels of one camera."""

    unused: int  # labels that no image has asked for yet

    def take(self, stamp_ns: int, size: tuple[int, int]) -> np.ndarray | None:
        """Return the label of the image with this stamp and size (height, width) as (H, W) uint8 class ids;
        None if there is none.

        Each label is returned once: of several images with equal stamps, the first gets the first label.
        Raises InputError for a label that cannot be used.
        """


def open_labels(bag: Bag, cameras: Sequence[CameraTopic], labels: Sequence[str]) -> dict[str, Labels]:
    """Return the labels by camera name.

    labels: one topic per camera, in the order of the cameras; or one folder with images named by their
        stamps, which for several cameras has a subfolder for each, named like the camera
    """
    if not labels:
        return {}
    if len(labels) == 1 and Path(labels[0]).is_dir():
        folder = Path(labels[0])
        return {camera.name: FolderLabels(folder / camera.name) for camera in cameras}
    if len(labels) != len(cameras):
        names = ", ".join(camera.topic.name for camera in cameras)
        raise BagError(
            f"{len(labels)} label topics for {len(cameras)} cameras ({names}): give one for each, in their "
            "order, or one folder"
        )
    if not any(topic.name == labels[0] for topic in bag.topics) and not labels[0].startswith("/"):
        raise BagError(f"labels {labels[0]}: there is no such folder, and {bag.path} has no such topic")
    return {camera.name: TopicLabels(bag, topic) for camera, topic in zip(cameras, labels)}


class TopicLabels:
    """Labels from a topic, all read in advance: an image and its label need not be close to each other in the
    recording. They are kept compressed, some kilobytes each."""

    def __init__(self, bag: Bag, topic_name: str):
        topic = image_topic(bag, topic_name)
        self._topic = topic_name
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
            return _read_png(data, size, f"on {self._topic}")
        _check_size(shape, size, f"a label on {self._topic}")
        return np.frombuffer(zlib.decompress(data), np.uint8).reshape(shape)

    def _pack(self, message, compressed: bool):
        """Return a message's label in compressed form: (bytes, (H, W)), or (bytes, None) for a PNG, or the
        InputError if it cannot be used."""
        if compressed:
            data = bytes(message.data)
            return (
                (data, None)
                if data.startswith(_PNG)
                else InputError(
                    "label",
                    f"a label on {self._topic} of format {message.format[:40]!r} is not a PNG: publish class "
                    f"ids as PNG, as other formats alter them, or as {' or '.join(_ENCODINGS)}",
                )
            )
        height, width, step = message.height, message.width, message.step
        if message.encoding not in _ENCODINGS:
            return InputError(
                "label",
                f"a label on {self._topic} has encoding {message.encoding[:40]!r}: publish class ids as "
                f"{' or '.join(_ENCODINGS)}",
            )
        if not height or not width or step < width or len(message.data) < height * step:
            return InputError(
                "label",
                f"a label on {self._topic} of {width}x{height} pixels has {len(message.data)} bytes and "
                f"step {step}: it is truncated",
            )
        rows = message.data[: height * step].reshape(height, step)[:, :width]
        return zlib.compress(np.ascontiguousarray(rows).data, 1), (height, width)


class FolderLabels:
    """PNG files named by the image's stamp: `<nanoseconds>.png` or `<seconds>_<nanoseconds>.png`."""

    def __init__(self, folder: Path):
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
        return _read_png(file, size)


def _read_png(file: Path | bytes, size: tuple[int, int], where: str = "") -> np.ndarray:
    try:
        return read_label(io.BytesIO(file) if isinstance(file, bytes) else file, size, name=where or file)
    except ValueError as error:
        raise InputError("label", str(error)) from error


def _check_size(shape: tuple[int, int], size: tuple[int, int], what: str) -> None:
    if shape != tuple(size):
        raise InputError(
            "label",
            f"{what} is {shape[1]}x{shape[0]} but its image {size[1]}x{size[0]}: make both the same size",
        )
