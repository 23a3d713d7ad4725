# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Outputs of one camera: the mask, and further topics that are computed while they have subscribers."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property

import cv2
import numpy as np
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.lifecycle import LifecycleNode
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, Image

from dcfm_ros.model.class_map import ClassMap, MappedClass
from dcfm_ros.msg import KeyframeEvent as KeyframeMessage
from dcfm_ros.msg import MaskInfo
from dcfm_ros.pipeline.frames import KeyframeEvent, Segmentation, Wanted
from dcfm_ros.pipeline.message_fields import keyframe_fields, mask_info_fields
from dcfm_ros.pipeline.overlay import blend, coloured_mask
from dcfm_ros.pipeline.topics import BINARY_MASK, OUTPUTS, SWITCHED, Topic
from dcfm_ros.ros import messages
from dcfm_ros.ros.message_types import message_class
from dcfm_ros.ros.parameters import PROBABILITIES, OutputParameters

_QUEUE = 5


class CameraOutputs:
    """Publishers of a camera. `wanted`, `publish` and `publish_keyframe` are called on the mask thread."""

    def __init__(self, node: LifecycleNode, prefix: str, class_map: ClassMap, binary_masks: tuple[str, ...]):
        """binary_masks: names of classes with a binary mask topic. Raises ConfigError if a name is not a
        class."""
        self._node, self._map = node, class_map
        self._sent = 0
        binary = {binary_topic(name): class_map.by_name(name) for name in binary_masks}
        if len(binary) < len(binary_masks):
            raise ValueError(f"binary_masks {list(binary_masks)}: some have one topic; name each class once")

        def publisher(topic: Topic, name: str):
            return node.create_lifecycle_publisher(
                message_class(topic.type),
                prefix + name,
                QoSProfile(depth=_QUEUE),
                qos_overriding_options=QoSOverridingOptions.with_default_policies(),
                event_callbacks=PublisherEventCallbacks(use_default_callbacks=True),
            )

        self._mask, self._keyframe = (publisher(OUTPUTS[name], name) for name in ("mask", "keyframe"))
        self._others = {switch: publisher(topic, topic.name) for switch, topic in SWITCHED.items()}
        self._binary: list[tuple[MappedClass, Publisher]] = [
            (mapped, publisher(BINARY_MASK, name)) for name, mapped in binary.items()
        ]

    def destroy(self) -> None:
        for publisher in self._all():
            self._node.destroy_lifecycle_publisher(publisher)

    @property
    def mask_topic(self) -> str:
        return self._mask.topic_name

    def have_subscribers(self) -> bool:
        return any(publisher.get_subscription_count() > 0 for publisher in self._all())

    def wants(self, output: str, parameters: OutputParameters) -> bool:
        """Return whether an optional output is enabled and, if it is made on demand, has subscribers."""
        return output in parameters.outputs and (
            not SWITCHED[output].on_demand or self._others[output].get_subscription_count() > 0
        )

    def wanted(self, parameters: OutputParameters) -> Wanted:
        """Return the outputs to be computed with the next mask."""
        kind = np.dtype(PROBABILITIES[parameters.probabilities_type]).type
        return Wanted(
            self.wants("confidence", parameters), kind if self.wants("probabilities", parameters) else None
        )

    def publish(self, result: Segmentation, parameters: OutputParameters) -> None:
        self._mask.publish(messages.mono8_message(result.frame.context, result.mask))
        self._sent += 1
        source = _OutputSource(result, self._sent, self._map.colors, parameters)
        for output, make in MAKERS.items():
            if self.wants(output, parameters) and (message := make(source)) is not None:
                self._others[output].publish(message)
        for mapped, publisher in self._binary:
            if publisher.get_subscription_count() > 0:
                publisher.publish(source.mono8(cv2.inRange(result.mask, mapped.id, mapped.id)))

    def publish_info(self, info: CameraInfo) -> None:
        """Publish a camera_info. May be called from any thread."""
        self._others["camera_info"].publish(info)

    def publish_keyframe(self, event: KeyframeEvent) -> None:
        self._keyframe.publish(KeyframeMessage(header=event.frame.context, **keyframe_fields(event)))

    def _all(self) -> list:
        return [
            self._mask,
            self._keyframe,
            *self._others.values(),
            *(publisher for _, publisher in self._binary),
        ]


def binary_topic(name: str) -> str:
    """Return the topic of a class's binary mask, mask/<class>, with _ for characters that topics must not
    have. Raises ValueError if it is taken."""
    token = re.sub(r"\W|^(?=\d)", "_", name, flags=re.ASCII)
    if token == "compressed":
        raise ValueError(
            "binary_masks: mask/compressed is the mask as PNG; give class 'compressed' another name by "
            "class_map"
        )
    return f"mask/{token}"


class _OutputSource:
    """A mask and the inputs of its other outputs. sequence: number of the camera's masks, including this
    one"""

    def __init__(self, result: Segmentation, sequence: int, colors: np.ndarray, parameters: OutputParameters):
        self.result, self.sequence, self.colors, self.parameters = result, sequence, colors, parameters
        self.header, self.mask = result.frame.context, result.mask

    @cached_property
    def overlay(self) -> np.ndarray:
        """The image blended with its classes' colours, at the size of the mask."""
        image, (height, width) = self.result.frame.rgb(), self.mask.shape
        if image.shape[:2] != (height, width):
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        return blend(image, self.mask, self.colors, self.parameters.overlay_alpha)

    def mono8(self, array: np.ndarray | None) -> Image | None:
        return None if array is None else messages.mono8_message(self.header, array)

    def rgb8(self, picture: np.ndarray) -> Image:
        return messages.rgb8_message(self.header, picture)


def _mask_info(source: _OutputSource) -> MaskInfo:
    return MaskInfo(
        header=source.header,
        sequence=source.sequence,
        feature_stamp=messages.time_message(source.result.feature_stamp_ns),
        **mask_info_fields(source.result),
    )


def _probabilities(source: _OutputSource) -> Image | None:
    values = source.result.probabilities
    return None if values is None else messages.channels_message(source.header, values)


# Creates the message of each output that is published with a mask, in the order of publishing; None if its
# data (see `wanted`) was not computed with this mask.
MAKERS: dict[str, Callable[[_OutputSource], object | None]] = {
    "mask_info": _mask_info,
    "confidence": lambda source: source.mono8(source.result.confidence),
    "probabilities": _probabilities,
    "mask_compressed": lambda source: messages.png_message(source.header, source.mask),
    "color_mask": lambda source: source.rgb8(coloured_mask(source.mask, source.colors)),
    "overlay": lambda source: source.rgb8(source.overlay),
    "overlay_compressed": lambda source: messages.jpeg_message(
        source.header, source.overlay, source.parameters.jpeg_quality
    ),
}
