# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the live node publishes for a camera, as messages of a recording: same topics, same fields, same
QoS."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore

from dcfm_ros.bags.make import filled_image
from dcfm_ros.bags.reading import Bag
from dcfm_ros.bags.stamps import stamp_message
from dcfm_ros.bags.topic import CDR, Topic
from dcfm_ros.bags.types import IMAGE, KEYFRAME, LABEL_INFO, MASK_INFO, PALETTE, typestore
from dcfm_ros.model.config import ClassSpec
from dcfm_ros.pipeline.frames import KeyframeEvent, Segmentation
from dcfm_ros.pipeline.message_fields import keyframe_fields, mask_info_fields

_FOREVER = QosTime(9223372036, 854775807)  # as rosbag2 writes "no limit"
_IDL = "=" * 80 + "\nIDL: "


def _qos(depth: int, durability: QosDurability) -> Qos:
    return Qos(
        QosHistory.KEEP_LAST,
        depth,
        QosReliability.RELIABLE,
        durability,
        _FOREVER,
        _FOREVER,
        QosLiveliness.AUTOMATIC,
        _FOREVER,
        False,
    )


_QUEUED, _LATCHED = _qos(5, QosDurability.VOLATILE), _qos(1, QosDurability.TRANSIENT_LOCAL)


class CameraOutputs:
    """The topics of one camera and their messages, each a list of (topic, CDR bytes)."""

    def __init__(self, camera: str, model: str, classes: Sequence[ClassSpec]):
        prefix = f"/dcfm/{camera}/" if camera else "/dcfm/"
        self._model, self._classes = model, classes
        self.mask, self.info, self.keyframe = (
            _topic(prefix + name, kind, _QUEUED)
            for name, kind in (("mask", IMAGE), ("mask_info", MASK_INFO), ("keyframe", KEYFRAME))
        )
        self.palette, self.label_info = (
            _topic(prefix + name, kind, _LATCHED)
            for name, kind in (("palette", PALETTE), ("label_info", LABEL_INFO))
        )
        self.topics = (self.mask, self.info, self.keyframe, self.palette, self.label_info)

    def of_classes(self, stamp_ns: int) -> list[tuple[Topic, memoryview]]:
        """What the class ids mean. stamp_ns: of the first mask, since there is no node's clock."""
        types = typestore().types
        header = types["std_msgs/msg/Header"](stamp=stamp_message(stamp_ns), frame_id="")
        colors = [
            types["dcfm_ros/msg/ClassColor"](id=number, name=c.name, r=c.color[0], g=c.color[1], b=c.color[2])
            for number, c in enumerate(self._classes)
        ]
        names = [
            types["vision_msgs/msg/VisionClass"](class_id=number, class_name=c.name)
            for number, c in enumerate(self._classes)
        ]
        return [
            _cdr(self.palette, types[PALETTE](header=header, model=self._model, classes=colors)),
            _cdr(self.label_info, types[LABEL_INFO](header=header, class_map=names, threshold=0.0)),
        ]

    def of_keyframe(self, event: KeyframeEvent) -> tuple[Topic, memoryview]:
        return _cdr(
            self.keyframe,
            typestore().types[KEYFRAME](header=event.frame.header.header, **keyframe_fields(event)),
        )

    def of_mask(self, result: Segmentation, sequence: int) -> list[tuple[Topic, memoryview]]:
        """sequence: masks of this camera so far, this one included."""
        header = result.frame.header.header
        info = typestore().types[MASK_INFO](
            header=header,
            sequence=sequence,
            feature_stamp=stamp_message(result.feature_stamp_ns),
            **mask_info_fields(result),
        )
        return [_cdr(self.mask, filled_image(header, result.mask, "mono8")), _cdr(self.info, info)]


def original_topics(bag: Bag, ours: Collection[Topic]) -> tuple[list[Topic], dict[str, str]]:
    """The recording's topics that can be copied beside these, each with its definition; and the others, with
    why not."""
    copied, left_out = [], {}
    digests = {topic.msgtype: topic.digest for topic in ours}
    names = {topic.name for topic in ours}
    for topic in bag.topics:
        if topic.name in names:
            left_out[topic.name] = "the masks made now are written to a topic of this name"
            continue
        if topic.serialization != CDR:
            left_out[topic.name] = (
                f"its messages are serialized as {topic.serialization}, and ROS 2 has {CDR}"
            )
            continue
        try:
            whole = _defined(topic)
        except ValueError as error:
            left_out[topic.name] = str(error)
            continue
        if digests.setdefault(whole.msgtype, whole.digest) != whole.digest:
            left_out[topic.name] = f"its {topic.msgtype} is not that of other topics of the output"
            continue
        copied.append(whole)
    return copied, left_out


def _defined(topic: Topic) -> Topic:
    """With definition and type hash; a ValueError where there are none."""
    if not topic.definition:
        if topic.msgtype not in typestore().fielddefs:
            raise ValueError(
                f"the definition of {topic.msgtype or 'its type'} is neither in the recording nor known here"
            )
        ours = _topic(topic.name, topic.msgtype)
        if topic.digest not in ("", ours.digest):
            raise ValueError(
                f"the definition of {topic.msgtype} is not in the recording, and what is known here is "
                "another one"
            )
        return replace(topic, definition=ours.definition, digest=ours.digest)
    if topic.digest:
        return topic
    store = get_typestore(Stores.EMPTY)
    try:
        store.register(
            get_types_from_idl(topic.definition)
            if topic.definition.startswith(_IDL)
            else get_types_from_msg(topic.definition, topic.msgtype)
        )
        return replace(topic, digest=store.hash_rihs01(topic.msgtype))
    except Exception as error:  # whatever a text that is no definition makes of the parser
        raise ValueError(
            f"the definition of {topic.msgtype} in the recording cannot be understood "
            f"({' '.join(str(error).split())[:100]})"
        ) from error


def _topic(name: str, msgtype: str, *qos: Qos) -> Topic:
    definition, _ = typestore().generate_msgdef(msgtype, ros_version=2)
    return Topic(name, msgtype, definition, typestore().hash_rihs01(msgtype), qos)


def _cdr(topic: Topic, message) -> tuple[Topic, memoryview]:
    return topic, typestore().serialize_cdr(message, topic.msgtype)
