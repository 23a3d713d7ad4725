# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Labels of a recording's images: a topic of it, or a folder beside it; found by stamp."""

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
_PNG = b"\x89PNG\r\n\x1a\n"  # how one begins


class Labels(Protocol):
    """The labels of one camera."""

    unused: int  # labels that no image has asked for so far

    def take(self, stamp_ns: int, size: tuple[int, int]) -> np.ndarray | None:
        """(H, W) uint8 class ids for the image of this stamp, `size` (height, width); None where there is
        none. Of images with equal stamps the first gets the first label. A label that cannot be used is an
        InputError."""


def open_labels(bag: Bag, cameras: Sequence[CameraTopic], labels: Sequence[str]) -> dict[str, Labels]:
    """By camera. labels: a topic for each camera in their order, or one folder: with images called by their
    stamps, and of several cameras with a folder for each, called like the camera."""
    if not labels:
        return {}
    if len(labels) == 1 and Path(labels[0]).is_dir():
        folder = Path(labels[0])
        return {camera.name: FolderLabels(folder / camera.name) for camera in cameras}
    if len(labels) != len(cameras):
        names = ", ".join(camera.topic.name for camera in cameras)
        raise BagError(
            f"{len(labels)} label topics for {len(cameras)} cameras ({names}): give one for each, in their "
            f"order, or "
            "one folder"
        )
    if not any(topic.name == labels[0] for topic in bag.topics) and not labels[0].startswith("/"):
        raise BagError(f"labels {labels[0]}: there is no such folder, and {bag.path} has no such topic")
    return {camera.name: TopicLabels(bag, topic) for camera, topic in zip(cameras, labels)}


class TopicLabels:
    """Labels of a topic, all read ahead: image and label need not be near each other in the recording. They
    are kept compressed, some kilobytes each."""

    def __init__(self, bag: Bag, topic_name: str):
        topic = image_topic(bag, topic_name)
        self._topic, self._by_stamp = topic_name, defaultdict(deque)
        self.unused = 0
        for _, _, raw in bag.messages([topic]):
            try:
                message = bag.decode(topic, raw)
            except InputError:
                continue  # without a stamp it belongs to no image
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
        """What is kept of a message: (bytes, (H, W)), of a PNG (bytes, None), or why it cannot be used."""
        if compressed:
            data = bytes(message.data)
            return (
                (data, None)
                if data.startswith(_PNG)
                else InputError(
                    "label",
                    f"a label on {self._topic} of format {message.format[:40]!r} is no PNG: publish class "
                    f"ids as PNG, since other "
                    f"formats change them, or as {' or '.join(_ENCODINGS)}",
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
                f"step {step}: it is cut off",
            )
        rows = message.data[: height * step].reshape(height, step)[:, :width]
        return zlib.compress(np.ascontiguousarray(rows).data, 1), (height, width)


class FolderLabels:
    """PNG files called by the image's stamp: `<nanoseconds>.png`, or `<seconds>_<nanoseconds>.png`."""

    def __init__(self, folder: Path):
        if not folder.is_dir():
            raise BagError(f"there is no folder of labels {folder}")
        self._files: dict[int, Path] = {}
        for file in sorted(folder.glob("*.png")):
            match = re.fullmatch(r"(\d+)(?:[._](\d{9}))?", file.stem)
            if match is None:
                raise BagError(
                    f"label {file} is not called by a stamp: name it <nanoseconds>.png or "
                    f"<seconds>_<nanoseconds>.png, "
                    "nine digits of nanoseconds"
                )
            seconds, nanoseconds = match.groups()
            self._files[
                int(seconds) if nanoseconds is None else int(seconds) * NS_PER_S + int(nanoseconds)
            ] = file
        if not self._files:
            raise BagError(f"the folder of labels {folder} holds no PNG files")
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
            f"{what} is {shape[1]}x{shape[0]} but its image {size[1]}x{size[0]}; bring both to one size",
        )
