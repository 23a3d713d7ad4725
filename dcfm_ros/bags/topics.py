# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Finds the camera topics of a recording, and names the cameras."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice

from dcfm_ros.bags.arrivals import image_reader
from dcfm_ros.bags.errors import BagError
from dcfm_ros.bags.names import numbered
from dcfm_ros.bags.reading import Bag
from dcfm_ros.bags.topic import CDR, Topic
from dcfm_ros.bags.types import COMPRESSED_IMAGE, IMAGE, VIDEOS, typestore
from dcfm_ros.pipeline.frames import InputError

_IMAGES = (IMAGE, COMPRESSED_IMAGE)
_KINDS = (*_IMAGES, *VIDEOS)  # of several topics of one camera, the first of these is used
_LOOKED_AT = 5  # messages checked for their encoding
_PICTURES = re.compile(r"Image|Video|FFMPEG|theora")  # names of other types that contain pictures
_NOT_CAMERAS = re.compile(
    r"^/dcfm/|depth|compressedDepth|disparity|/theora$|label|/mask|semantic|/segmentation"
)
# Last parts of camera topics; the part before names the camera.
_ENDINGS = (
    "compressed",
    "ffmpeg",
    "foxglove",
    "video",
    "image",
    "image_raw",
    "image_color",
    "image_rect",
    "image_rect_color",
    "image_mono",
    "color",
    "raw",
)
# suffixes that image_transport appends to the raw topic's name
_TRANSPORTS = re.compile(r"/(compressed|ffmpeg|foxglove)$")


@dataclass(frozen=True)
class CameraTopic:
    """A camera of a recording. `name` is empty if there is only one camera, as in the live node."""

    name: str
    topic: Topic

    @property
    def compressed(self) -> bool:
        return self.topic.msgtype == COMPRESSED_IMAGE

    @property
    def is_video(self) -> bool:
        return self.topic.msgtype in VIDEOS

    @property
    def raw_name(self) -> str:
        """Name of the topic with the same images uncompressed, by the convention of image_transport."""
        return _TRANSPORTS.sub("", self.topic.name)


def choose_cameras(bag: Bag, topics: Sequence[str] = (), labels: Collection[str] = ()) -> list[CameraTopic]:
    """Return the cameras in the order of `topics`, or without `topics` all that look like cameras.

    These are raw and compressed images and video; of several topics of one camera, the first of these types.
    Depth, labels, masks, encodings without colours and the node's own outputs, recognised by name, are
    ignored. Raises BagError.
    """
    chosen = [_image_topic(bag, name) for name in topics] if topics else _cameras_of(bag, labels)
    if twice := {topic.name for topic in chosen if [t.name for t in chosen].count(topic.name) > 1}:
        raise BagError(f"topic {min(twice)} is given twice: name each camera once")
    for topic in chosen:
        _check(bag, topic)
        if topics and (refusal := _refused_encoding(bag, topic)):
            raise BagError(f"topic {topic.name} of {bag.path}: {refusal}")
    names = [""] if len(chosen) == 1 else camera_names([topic.name for topic in chosen])
    return [CameraTopic(name, topic) for name, topic in zip(names, chosen)]


def camera_names(topics: Sequence[str]) -> list[str]:
    """Return short names, unique and valid in a topic: /front/image_raw and /rear/image_raw become front and
    rear."""
    shortest = [_stem(topic)[-1:] for topic in topics]
    if len({*map(tuple, shortest)}) < len(topics):
        shortest = [_stem(topic) for topic in topics]
    names = [re.sub(r"\W", "_", "_".join(parts), flags=re.ASCII) or "camera" for parts in shortest]
    return numbered([f"_{name}" if name[0].isdigit() else name for name in names])


def image_topic(bag: Bag, name: str) -> Topic:
    """Return the topic of this name whose messages are single images. Raises BagError if there is none, or it
    has no messages."""
    topic = _image_topic(bag, name, _IMAGES)
    _check(bag, topic)
    return topic


def find_topic(bag: Bag, name: str, msgtype: str) -> Topic | None:
    """Return the topic of this name and type if it has messages and the type hash matches; otherwise None."""
    digests = ("", typestore().hash_rihs01(msgtype))
    return next(
        (
            topic
            for topic in bag.topics
            if topic.key == (name, msgtype, CDR) and topic.count and topic.digest in digests
        ),
        None,
    )


def _cameras_of(bag: Bag, labels: Collection[str]) -> list[Topic]:
    """Return the topics that look like cameras; one whose encoding is refused is noted. Raises BagError with
    the alternatives if there is none."""
    names = {
        topic.name
        for topic in bag.topics
        if _is_image(topic)
        and topic.count
        and topic.name not in labels
        and not _NOT_CAMERAS.search(topic.name)
    }
    cameras, refusals, seen = {}, {}, set()
    for topic in sorted(
        (_image_topic(bag, name) for name in names),
        key=lambda topic: (_KINDS.index(topic.msgtype), topic.name),
    ):
        if (raw_name := _TRANSPORTS.sub("", topic.name)) in seen:
            continue
        if refusal := _refused_encoding(bag, topic):
            refusals[topic.name] = refusal
        else:
            cameras[topic.name] = topic
            seen.add(raw_name)
    if not cameras:
        reasons = "; ".join(f"{name}: {refusal}" for name, refusal in sorted(refusals.items()))
        raise BagError(
            f"{bag.path} holds no camera images{_cut(bag)}: "
            f"{reasons or _contents(bag, '; name one if it is a camera')}"
        )
    for name, refusal in refusals.items():
        bag.note(f"{name} is left out: {refusal}")
    return [cameras[name] for name in sorted(cameras)]


def _refused_encoding(bag: Bag, topic: Topic) -> str:
    """Return why images of this encoding cannot be used, judged by the first non-empty ones; "" if they can.
    Some drivers send empty images first."""
    refusal, source = "", image_reader(bag, topic)
    with closing(bag.messages([topic])) as messages:
        for number, (_, log_ns, raw) in enumerate(islice(messages, _LOOKED_AT)):
            for arrival in source.read(number, log_ns, raw):
                try:
                    arrival.decode()
                except InputError as error:
                    if error.kind == "encoding":
                        refusal = refusal or str(error)
                        continue
                return ""
    return refusal


def _image_topic(bag: Bag, name: str, kinds: Sequence[str] = _KINDS) -> Topic:
    """Return the image topic of this name; if there are two types, the one with more messages, with a
    note."""
    found = [topic for topic in bag.topics if topic.name == name]
    images = sorted(
        (topic for topic in found if _is_image(topic) and topic.msgtype in kinds),
        key=lambda topic: -topic.count,
    )
    if images:
        for other in images[1:]:
            if other.count:
                bag.note(
                    f"{name} holds {images[0].count} messages of {images[0].msgtype} and {other.count} of "
                    f"{other.msgtype}, which are not read: record these to a topic of their own"
                )
        return images[0]
    if found:
        raise BagError(
            f"topic {name} of {bag.path} is {_kind(found[0])}, not an image of ROS 2: give a topic of "
            f"{' or '.join(kinds)}; {_contents(bag)}"
        )
    raise BagError(f"{bag.path} has no topic {name}: {_contents(bag)}")


def _check(bag: Bag, topic: Topic) -> None:
    expected = typestore().hash_rihs01(topic.msgtype)
    if topic.digest and topic.digest != expected:
        raise BagError(
            f"topic {topic.name} of {bag.path}: its {topic.msgtype} is not that of ROS 2 (hash "
            f"{topic.digest[:20]}…, expected {expected[:20]}…): convert the recording"
        )
    if not topic.count:
        raise BagError(
            f"topic {topic.name} of {bag.path} holds no messages{_cut(bag)}: "
            f"{_contents(bag, '; name one that does')}"
        )


def _is_image(topic: Topic) -> bool:
    return topic.msgtype in _KINDS and topic.serialization == CDR


def _kind(topic: Topic) -> str:
    how = "" if topic.serialization == CDR else f" serialized as {topic.serialization}"
    return f"of type {topic.msgtype or 'unknown'}{how}"


def _cut(bag: Bag) -> str:
    return f" ({'; '.join(bag.notes)})" if bag.notes else ""


def _contents(bag: Bag, remedy: str = "") -> str:
    """Return what the recording contains instead, and the remedy if it contains images."""
    if not any(topic.count for topic in bag.topics):
        return "it holds no messages at all"
    images = [topic.name for topic in bag.topics if _is_image(topic)]
    if images:
        return f"its image topics are {', '.join(sorted(images))}{remedy}"
    others = [f"{topic.name} is {_kind(topic)}" for topic in bag.topics if _PICTURES.search(topic.msgtype)]
    if others:
        return (
            f"{'; '.join(sorted(others))}; only {', '.join(_KINDS[:-1])} and {_KINDS[-1]} in {CDR.upper()} "
            f"are read: convert or record these"
        )
    return f"none of its {len(bag.topics)} topics carries images"


def _stem(topic: str) -> list[str]:
    parts = [part for part in topic.split("/") if part]
    while len(parts) > 1 and parts[-1] in _ENDINGS:
        parts.pop()
    return parts
