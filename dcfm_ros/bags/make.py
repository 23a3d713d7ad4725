"""`dcfm bag make`: images and labels that lie in files, as a recording."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from tqdm import tqdm

from dcfm_ros.bags.errors import BagError
from dcfm_ros.bags.replay import NS_PER_S
from dcfm_ros.bags.types import IMAGE, typestore
from dcfm_ros.sources.open import open_source

_START_NS = 1_000_000_000 * NS_PER_S   # a stamp of 0 means "none" to many programs


@dataclass(frozen=True)
class MakeOptions:
    source: str                       # folder of images, perhaps with labels; video file; synthetic[:SEED]
    out: str                          # folder to write
    labels: str | None = None         # folder of <image stem>.png
    rate_hz: float = 15.0
    frames: int = 300                 # of an endless source
    storage: str = "mcap"             # or sqlite3
    image_topic: str = "/camera/image_raw"
    label_topic: str = "/camera/label"
    frame_id: str = "camera"

    def __post_init__(self):
        if not (self.rate_hz > 0 and math.isfinite(self.rate_hz)):
            raise ValueError(f"rate {self.rate_hz:g}: give a number above 0")
        if self.frames < 1:
            raise ValueError(f"frames {self.frames}: give at least 1")
        storages = [plugin.name.lower() for plugin in StoragePlugin]
        if self.storage not in storages:
            raise ValueError(f"storage {self.storage!r}: use one of {', '.join(storages)}")


def make_bag(options: MakeOptions) -> dict:
    """Write the recording: rgb8 images, mono8 labels (class ids, 255 = void) of the same stamps. Returns counts."""
    source = open_source(options.source, labels=options.labels, rate_hz=options.rate_hz)
    count, out = source.length or options.frames, Path(options.out)
    if out.exists():
        raise BagError(f"{out} exists already: give another folder")
    writer = Writer(out, version=9, storage_plugin=StoragePlugin[options.storage.upper()])
    if options.storage == "mcap":   # of the other, `ros2 bag play` reads only whole compressed files
        writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
    store, labelled = typestore(), 0
    with writer:
        images = writer.add_connection(options.image_topic, IMAGE, typestore=store)
        labels = None
        for index in tqdm(range(count), unit="frame", disable=None):
            frame = source.frame(index)
            stamp_ns = _START_NS + round(index * NS_PER_S / options.rate_hz)
            message = image_message(stamp_ns, options.frame_id, frame.image, "rgb8")
            writer.write(images, stamp_ns, store.serialize_cdr(message, IMAGE))
            if frame.label is not None:
                labels = labels or writer.add_connection(options.label_topic, IMAGE, typestore=store)
                labelled += 1
                message = image_message(stamp_ns, options.frame_id, frame.label, "mono8")
                writer.write(labels, stamp_ns, store.serialize_cdr(message, IMAGE))
    return {"bag": str(out), "images": count, "labels": labelled, "image_topic": options.image_topic,
            "label_topic": options.label_topic if labelled else None}


def image_message(stamp_ns: int, frame_id: str, pixels: np.ndarray, encoding: str):
    """A sensor_msgs/Image of (H, W, 3) or (H, W) uint8, of rosbags' own class."""
    header = typestore().types["std_msgs/msg/Header"](
        stamp=typestore().types["builtin_interfaces/msg/Time"](sec=stamp_ns // NS_PER_S, nanosec=stamp_ns % NS_PER_S),
        frame_id=frame_id)
    return filled_image(header, pixels, encoding)


def filled_image(header, pixels: np.ndarray, encoding: str):
    """As `image_message`, with a header that is there already."""
    height, width = pixels.shape[:2]
    return typestore().types[IMAGE](
        header=header, height=height, width=width, encoding=encoding, is_bigendian=0, step=width * (pixels.size // (height * width)),
        data=np.ascontiguousarray(pixels).reshape(-1))
