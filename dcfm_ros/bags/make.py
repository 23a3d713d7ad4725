# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcfm bag make`: writes images and labels from files as a recording."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin
from tqdm import tqdm

from dcfm_ros.bags.errors import BagError
from dcfm_ros.bags.names import UNFINISHED
from dcfm_ros.bags.options import MakeOptions
from dcfm_ros.bags.stamps import stamp_message
from dcfm_ros.bags.types import IMAGE, typestore
from dcfm_ros.bags.writer import BagWriter
from dcfm_ros.sources.open import VideoSource, open_source
from dcfm_ros.stamps import NS_PER_S

_START_NS = 1_000_000_000 * NS_PER_S  # a stamp of 0 means "none" to many programs
_ENDLESS = 300  # frames taken from an endless source


def make_bag(options: MakeOptions) -> dict:
    """Write the recording: rgb8 images, and mono8 labels (class ids, 255 = void) with the same stamps. Return
    counts.

    It grows in `<out>.partial`, which is removed after an error or an interrupt, and replaced if a killed run
    left one.
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
    """Create `<out>.partial`. The recording grows inside it under its final name, after which its files are
    named."""
    partial = out.with_name(out.name + UNFINISHED)
    if partial.exists():
        if [file.name for file in partial.iterdir()] not in ([], [out.name]):
            raise BagError(
                f"{partial} is an unfinished output of another command: finish it by running that again, "
                "remove it, or give another folder"
            )
        shutil.rmtree(partial)
    partial.mkdir(parents=True)
    return partial


def _write(folder: Path, source: VideoSource, options: MakeOptions) -> tuple[int, int]:
    """Write the recording; return the number of images and labels."""
    count = source.length or _ENDLESS
    writer = BagWriter(folder, version=9, storage_plugin=StoragePlugin[options.storage.upper()])
    if (
        options.storage == "mcap"
    ):  # `ros2 bag play` reads sqlite3 only uncompressed or compressed as a whole file
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
    """Return a sensor_msgs/Image of rosbags' own class from (H, W, 3) or (H, W) uint8 pixels."""
    header = typestore().types["std_msgs/msg/Header"](stamp=stamp_message(stamp_ns), frame_id=frame_id)
    return filled_image(header, pixels, encoding)


def filled_image(header, pixels: np.ndarray, encoding: str):
    """Same as `image_message`, with an existing header."""
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
