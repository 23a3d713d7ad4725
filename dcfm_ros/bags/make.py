# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm bag make`: images and labels that lie in files, as a recording."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin
from tqdm import tqdm

from dcfm_ros.bags.errors import BagError
from dcfm_ros.bags.names import UNFINISHED
from dcfm_ros.bags.stamps import stamp_message
from dcfm_ros.bags.types import IMAGE, typestore
from dcfm_ros.bags.writer import BagWriter
from dcfm_ros.sources.open import VideoSource, open_source
from dcfm_ros.stamps import NS_PER_S

_START_NS = 1_000_000_000 * NS_PER_S  # a stamp of 0 means "none" to many programs
_RATES_HZ = (0.1, 1000.0)  # as the camera node has them
_ENDLESS = 300  # frames of a source without end
_TOPIC = re.compile(r"(/[A-Za-z_][A-Za-z0-9_]*)+")  # as ROS has full names
_TOPIC_LENGTH = 247


@dataclass(frozen=True)
class MakeOptions:
    source: str  # folder of images, perhaps with labels; video file; synthetic[:SEED]
    out: str  # folder to write
    labels: str | None = None  # folder of <image stem>.png
    rate_hz: float | None = None  # the video file's own, 15 of images
    frames: int | None = None  # at most; None: all of a file, 300 of an endless source
    storage: str = "mcap"  # or sqlite3
    image_topic: str = "/camera/image_raw"
    label_topic: str = "/camera/label"
    frame_id: str = "camera_optical_frame"

    def __post_init__(self):
        low, high = _RATES_HZ
        if self.rate_hz is not None and not low <= self.rate_hz <= high:
            raise ValueError(f"rate {self.rate_hz:g}: use {low:g} to {high:g} images per second")
        if self.frames is not None and self.frames < 1:
            raise ValueError(f"frames {self.frames}: give at least 1")
        for what, topic in (("image", self.image_topic), ("label", self.label_topic)):
            if not _TOPIC.fullmatch(topic) or len(topic) > _TOPIC_LENGTH:
                raise ValueError(
                    f"{what} topic {topic!r} is no full name of ROS: give letters, digits and underscores "
                    f"after each /, no "
                    f"digit first, {_TOPIC_LENGTH} signs at most, as in /camera/image_raw"
                )
        if self.image_topic == self.label_topic:
            raise ValueError(
                f"image topic and label topic are both {self.image_topic}: give labels a topic of their own"
            )
        storages = [plugin.name.lower() for plugin in StoragePlugin]
        if self.storage not in storages:
            raise ValueError(f"storage {self.storage!r}: use one of {', '.join(storages)}")


def make_bag(options: MakeOptions) -> dict:
    """Write the recording: rgb8 images, mono8 labels (class ids, 255 = void) of the same stamps. Returns
    counts.

    It grows in `<out>.partial`, which is gone after an error or an interrupt, and replaced where a dead run
    has left one.
    """
    source = open_source(
        options.source, labels=options.labels, rate_hz=options.rate_hz, length=options.frames
    )
    out = Path(options.out)
    if out.exists():
        raise BagError(f"{out} exists already: give another folder")
    partial = _begin(out)
    try:
        images, labels = _write(partial / out.name, source, options)
        os.rename(partial / out.name, out)
    finally:
        shutil.rmtree(partial)
    return {
        "bag": str(out),
        "images": images,
        "labels": labels,
        "image_topic": options.image_topic,
        "label_topic": options.label_topic if labels else None,
    }


def _begin(out: Path) -> Path:
    """A new `<out>.partial`. The recording grows inside, under its own name, by which its files are
    called."""
    partial = out.with_name(out.name + UNFINISHED)
    if partial.exists():
        if [file.name for file in partial.iterdir()] not in ([], [out.name]):
            raise BagError(
                f"{partial} is an unfinished output of another command: finish it by running that again, "
                f"remove "
                "it, or give another folder"
            )
        shutil.rmtree(partial)
    partial.mkdir(parents=True)
    return partial


def _write(folder: Path, source: VideoSource, options: MakeOptions) -> tuple[int, int]:
    """Returns how many images and labels."""
    count = source.length or _ENDLESS
    writer = BagWriter(folder, version=9, storage_plugin=StoragePlugin[options.storage.upper()])
    if options.storage == "mcap":  # of the other, `ros2 bag play` reads only whole compressed files
        writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
    store, labelled = typestore(), 0
    with writer:
        images = writer.add_connection(options.image_topic, IMAGE, typestore=store)
        labels = None
        for index in tqdm(range(count), unit="frame", disable=None):
            frame = source.frame(index)
            stamp_ns = _START_NS + frame.stamp_ns
            message = image_message(stamp_ns, options.frame_id, frame.image, "rgb8")
            writer.write(images, stamp_ns, store.serialize_cdr(message, IMAGE))
            if frame.label is not None:
                labels = labels or writer.add_connection(options.label_topic, IMAGE, typestore=store)
                labelled += 1
                message = image_message(stamp_ns, options.frame_id, frame.label, "mono8")
                writer.write(labels, stamp_ns, store.serialize_cdr(message, IMAGE))
    return count, labelled


def image_message(stamp_ns: int, frame_id: str, pixels: np.ndarray, encoding: str):
    """A sensor_msgs/Image of (H, W, 3) or (H, W) uint8, of rosbags' own class."""
    header = typestore().types["std_msgs/msg/Header"](stamp=stamp_message(stamp_ns), frame_id=frame_id)
    return filled_image(header, pixels, encoding)


def filled_image(header, pixels: np.ndarray, encoding: str):
    """As `image_message`, with a header that is there already."""
    height, width = pixels.shape[:2]
    return typestore().types[IMAGE](
        header=header,
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=0,
        step=width * (pixels.size // (height * width)),
        data=np.ascontiguousarray(pixels).reshape(-1),
    )
