# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recordings for tests: tiny pictures of one or several cameras, in either storage, with faults on
request."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from mcap.writer import IndexType
from mcap.writer import Writer as McapWriter
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from dcfm_ros.bags.make import image_message
from dcfm_ros.bags.reading import Bag, open_bag
from dcfm_ros.bags.types import COMPRESSED_IMAGE, IMAGE, typestore

START_NS = 1_700_000_000_000_000_000
PERIOD_NS = 66_666_667  # of a 15 Hz camera
OFFSET_NS = 7_000_000  # of a camera against the one before it
LOG_DELAY_NS = 2_000_000  # from stamp to log time
SIZE = (64, 96)  # (height, width)
CAMERA = "/camera/image_raw"
STRING = "std_msgs/msg/String"


def drive(
    count: int, seed: int = 0, size: tuple[int, int] = SIZE, motion: float = 3.0, cut: int = 20
) -> list[np.ndarray]:
    """Pictures (H, W, 3) uint8 RGB that move, of another scene every `cut` frames."""
    scenes = {}
    pictures = []
    for index in range(count):
        scene, at = divmod(index, cut)
        if scene not in scenes:
            coarse = np.random.default_rng((seed, scene)).integers(0, 256, (8, 40, 3), dtype=np.uint8)
            scenes[scene] = cv2.resize(coarse, (size[1] * 5, size[0]), interpolation=cv2.INTER_CUBIC)
        pictures.append(
            np.ascontiguousarray(scenes[scene][:, int(at * motion) % (size[1] * 4) :][:, : size[1]])
        )
    return pictures


def labels_of(pictures: Sequence[np.ndarray], classes: int = 4) -> list[np.ndarray]:
    """(H, W) uint8 class ids that follow the pictures; the first rows are void."""
    labels = [(picture[..., 0] // (256 // classes)).astype(np.uint8) for picture in pictures]
    for label in labels:
        label[:3] = 255
    return labels


def write_bag(
    folder: str | Path,
    frames: int = 30,
    topics: Sequence[str] = (CAMERA,),
    storage: str = "mcap",
    compression: str = "",
    encoding: str = "rgb8",
    labels: str = "",
    labelled: Collection[int] | None = None,
    corrupt: Collection[int] = (),
    stamps: Mapping[int, int] | None = None,
    sizes: Mapping[int, tuple[int, int]] | None = None,
    extra: Sequence[str] = (),
    seed: int = 0,
    cut: int = 20,
    motion: float = 3.0,
    pictures: Sequence[np.ndarray] | None = None,
    start_ns: int = START_NS,
) -> Path:
    """Write a recording and return its folder, which holds `<name>.mcap` or `<name>.db3`, and metadata.yaml.

    topics: of cameras; each has a picture per period, the next camera's a little later
    storage, compression: "mcap" or "sqlite3"; "", "storage" (of chunks, mcap only), "message" or "file"
    encoding: rgb8, bgr8, mono8, or jpeg, png (CompressedImage)
    labels: topic with a mono8 label for the first camera's frames, of the same stamps; labelled: numbers of
        these, None: all
    corrupt: numbers of frames (of every camera) whose data is cut in half
    stamps: other header stamps, ns after START_NS, by number of the frame; log times stay as they are
    sizes: other (height, width) by number of the frame, for it and those after it
    extra: topics of std_msgs/String, one message per period
    seed, cut, motion: as for `drive`; at a motion of 0.5 pixels keyframes are some 6 frames apart
    pictures: of the first camera, instead of `drive`
    start_ns: stamp of the first picture
    """
    folder, store = Path(folder), typestore()
    writer = Writer(folder, version=9, storage_plugin=StoragePlugin[storage.upper()])
    if compression:
        writer.set_compression(CompressionMode[compression.upper()], CompressionFormat.ZSTD)
    drives = [
        pictures
        if pictures is not None and not number
        else drive(frames, seed + number, motion=motion, cut=cut)
        for number in range(len(topics))
    ]
    shots = labels_of(drives[0]) if labels else []
    is_compressed = encoding in ("jpeg", "png")
    with writer:
        kind = COMPRESSED_IMAGE if is_compressed else IMAGE
        cameras = [writer.add_connection(topic, kind, typestore=store) for topic in topics]
        of_labels = writer.add_connection(labels, IMAGE, typestore=store) if labels else None
        others = [writer.add_connection(topic, STRING, typestore=store) for topic in extra]
        size = None
        for index in range(frames):
            at_ns = start_ns + index * PERIOD_NS
            size = (sizes or {}).get(index, size)
            for number, camera in enumerate(cameras):
                log_ns = at_ns + number * OFFSET_NS + LOG_DELAY_NS
                stamp_ns = start_ns + stamps[index] if stamps and index in stamps else log_ns - LOG_DELAY_NS
                picture = drives[number][index]
                if size is not None:
                    picture = cv2.resize(picture, size[::-1])
                message = image_of(stamp_ns, f"camera_{number}", picture, encoding)
                if index in corrupt:
                    message.data = message.data[: len(message.data) // 2]
                writer.write(camera, log_ns, store.serialize_cdr(message, camera.msgtype))
                if of_labels and number == 0 and (labelled is None or index in labelled):
                    label = image_message(stamp_ns, f"camera_{number}", shots[index], "mono8")
                    writer.write(of_labels, log_ns + 1, store.serialize_cdr(label, IMAGE))
            for other in others:
                text = store.types[STRING](data=f"{other.topic} {index}")
                writer.write(other, at_ns + LOG_DELAY_NS // 2, store.serialize_cdr(text, STRING))
    return folder


def image_of(stamp_ns: int, frame_id: str, rgb: np.ndarray, encoding: str):
    """A sensor_msgs/Image or CompressedImage of a picture (H, W, 3) uint8 RGB."""
    if encoding in ("jpeg", "png"):
        header = image_message(stamp_ns, frame_id, rgb, "rgb8").header
        done, data = cv2.imencode(f".{encoding}", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
        assert done
        return typestore().types[COMPRESSED_IMAGE](
            header=header, format=f"rgb8; {encoding} compressed bgr8", data=data.reshape(-1)
        )
    pixels = {"rgb8": rgb, "bgr8": rgb[..., ::-1], "mono8": rgb[..., 0]}[encoding]
    return image_message(stamp_ns, frame_id, pixels, encoding)


def write_mcap(
    path: Path,
    messages: Sequence[tuple[str, int, bytes]],
    profile: str = "ros2",
    msgtype: str = STRING,
    extra: Callable[[Writer], object] = lambda writer: None,
    **options,
) -> Path:
    """An .mcap of these (topic, log time, CDR bytes), in this order, by mcap's own writer.

    extra: what else is written before the messages
    options: of the writer; `index_until`: after so many messages no message is indexed any more
    """
    index_until = options.pop("index_until", None)
    with path.open("wb") as file:
        writer = McapWriter(file, **{"chunk_size": 500, **options})
        writer.start(profile)
        extra(writer)
        definition, _ = typestore().generate_msgdef(msgtype, ros_version=2)
        schema = writer.register_schema(msgtype, "ros2msg", definition.encode())
        channels = {
            topic: writer.register_channel(topic, "cdr", schema)
            for topic in dict.fromkeys(topic for topic, _, _ in messages)
        }
        for number, (topic, log_ns, raw) in enumerate(messages):
            if number == index_until:
                writer._Writer__index_types = IndexType.CHUNK
            writer.add_message(channels[topic], log_ns, raw, log_ns)
        writer.finish()
    return path


def texts(
    count: int, topic: str = "/notes", first_ns: int = START_NS, step_ns: int = PERIOD_NS
) -> list[tuple[str, int, bytes]]:
    """(topic, log time, CDR bytes) of std_msgs/String."""
    store = typestore()
    return [
        (
            topic,
            first_ns + number * step_ns,
            bytes(store.serialize_cdr(store.types[STRING](data=f"{topic} {number}"), STRING)),
        )
        for number in range(count)
    ]


def contents(bag: Bag) -> list[tuple[str, int, bytes]]:
    """(topic, log time, bytes) of all messages."""
    return [(topic.name, log_ns, bytes(raw)) for topic, log_ns, raw in bag.messages()]


def read_bag(path: str | Path, *topics: str) -> dict[str, list[tuple[int, object]]]:
    """(log time, message) of every topic, or of these, by its name."""
    with open_bag(path) as bag:
        wanted = [topic for topic in bag.topics if not topics or topic.name in topics]
        messages = {topic.name: [] for topic in wanted}
        for topic, log_ns, raw in bag.messages(wanted):
            messages[topic.name].append((log_ns, bag.decode(topic, raw)))
    return messages


def cut_file(path: str | Path, share: float = 0.5) -> Path:
    """Cut a file off after this share of its bytes, as a recorder leaves it that dies."""
    path = Path(path)
    with path.open("r+b") as file:
        file.truncate(int(path.stat().st_size * share))
    return path
