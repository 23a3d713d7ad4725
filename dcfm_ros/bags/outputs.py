# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The live node's outputs for a camera as messages of a recording: same topics, fields and QoS."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore

from dcfm_ros.bags.make import filled_image
from dcfm_ros.bags.reading import Bag
from dcfm_ros.bags.stamps import stamp_message
from dcfm_ros.bags.topic import CDR, Topic
from dcfm_ros.bags.types import KEYFRAME, LABEL_INFO, MASK_INFO, PALETTE, typestore
from dcfm_ros.model.config import ClassSpec
from dcfm_ros.pipeline.frames import KeyframeEvent, Segmentation
from dcfm_ros.pipeline.message_fields import keyframe_fields, mask_info_fields
from dcfm_ros.pipeline.topics import OUTPUTS, prefix_of

_FOREVER = QosTime(9223372036, 854775807)  # how rosbag2 writes "no limit"
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
    """The topics of one camera and their messages, as (topic, CDR bytes)."""

    def __init__(self, camera: str, model: str, classes: Sequence[ClassSpec]):
        self._model, self._classes = model, classes
        self.topics = tuple(
            _topic(
                f"/dcfm/{prefix_of(camera)}{output.name}",
                output.type,
                _LATCHED if output.latched else _QUEUED,
            )
            for output in OUTPUTS.values()
            if output.in_recordings
        )
        self.mask, self.info, self.keyframe, self.palette, self.label_info = self.topics

    def of_classes(self, stamp_ns: int) -> list[tuple[Topic, memoryview]]:
        """Return the messages that define the class ids. stamp_ns: of the first mask, as there is no node
        clock."""
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
        """Return the message of a keyframe event."""
        return _cdr(
            self.keyframe,
            typestore().types[KEYFRAME](header=event.frame.context.header, **keyframe_fields(event)),
        )

    def of_mask(self, result: Segmentation, sequence: int) -> list[tuple[Topic, memoryview]]:
        """Return the messages of a mask. sequence: number of masks of this camera so far, including this
        one."""
        header = result.frame.context.header
        info = typestore().types[MASK_INFO](
            header=header,
            sequence=sequence,
            feature_stamp=stamp_message(result.feature_stamp_ns),
            **mask_info_fields(result),
        )
        return [_cdr(self.mask, filled_image(header, result.mask, "mono8")), _cdr(self.info, info)]


def original_topics(bag: Bag, ours: Collection[Topic]) -> tuple[list[Topic], dict[str, str]]:
    """Return the recording's topics that can be copied beside ours, each with its definition, and the reasons
    for the others."""
    copied, left_out = [], {}
    digests = {topic.msgtype: topic.digest for topic in ours}
    names = {topic.name for topic in ours}
    for topic in bag.topics:
        if topic.name in names:
            left_out[topic.name] = "the new masks are written to a topic of this name"
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
    """Return the topic with definition and type hash; raise ValueError if there are none."""
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
    except Exception as error:  # an invalid definition can raise anything
        raise ValueError(
            f"the definition of {topic.msgtype} in the recording cannot be understood "
            f"({' '.join(str(error).split())[:100]})"
        ) from error


def _topic(name: str, msgtype: str, *qos: Qos) -> Topic:
    definition, _ = typestore().generate_msgdef(msgtype, ros_version=2)
    return Topic(name, msgtype, definition, typestore().hash_rihs01(msgtype), qos)


def _cdr(topic: Topic, message) -> tuple[Topic, memoryview]:
    return topic, typestore().serialize_cdr(message, topic.msgtype)
