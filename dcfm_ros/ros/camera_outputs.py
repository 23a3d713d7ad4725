# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What goes out for one camera: the mask, and what is made of it while somebody subscribes."""

from __future__ import annotations

import re
from collections.abc import Callable

import cv2
import numpy as np
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from dcfm_ros.model.class_map import ClassMap, MappedClass
from dcfm_ros.msg import KeyframeEvent as KeyframeMessage
from dcfm_ros.msg import MaskInfo
from dcfm_ros.pipeline.frames import KeyframeEvent, Segmentation, Wanted
from dcfm_ros.pipeline.message_fields import keyframe_fields, mask_info_fields
from dcfm_ros.pipeline.overlay import blend, coloured_mask
from dcfm_ros.ros import messages
from dcfm_ros.ros.parameters import PROBABILITIES, OutputParameters

_QUEUE = 5
# Outputs beside the mask: name, topic and type.
_TOPICS = {
    "mask_info": ("mask_info", MaskInfo),
    "confidence": ("confidence", Image),
    "overlay": ("overlay", Image),
    "overlay_compressed": ("overlay/compressed", CompressedImage),
    "mask_compressed": ("mask/compressed", CompressedImage),
    "color_mask": ("color_mask", Image),
    "probabilities": ("probabilities", Image),
    "camera_info": ("camera_info", CameraInfo),
}


class CameraOutputs:
    """A camera's publishers. `wanted`, `publish` and `publish_keyframe` are called on the masks' thread."""

    def __init__(self, node: LifecycleNode, prefix: str, class_map: ClassMap, binary_masks: tuple[str, ...]):
        """binary_masks: names of classes that have a mask of their own. Raises ConfigError where one is no
        class."""
        self._node, self._map = node, class_map
        self._sent = 0
        binary = {binary_topic(name): class_map.by_name(name) for name in binary_masks}
        if len(binary) < len(binary_masks):
            raise ValueError(f"binary_masks {list(binary_masks)}: some have one topic; name each class once")

        def publisher(topic: str, kind: type):
            return node.create_lifecycle_publisher(
                kind,
                prefix + topic,
                QoSProfile(depth=_QUEUE),
                qos_overriding_options=QoSOverridingOptions.with_default_policies(),
                event_callbacks=PublisherEventCallbacks(use_default_callbacks=True),
            )

        self._mask, self._keyframe = publisher("mask", Image), publisher("keyframe", KeyframeMessage)
        self._others = {name: publisher(topic, kind) for name, (topic, kind) in _TOPICS.items()}
        self._binary: list[tuple[MappedClass, object]] = [
            (mapped, publisher(topic, Image)) for topic, mapped in binary.items()
        ]

    def destroy(self) -> None:
        for publisher in self._all():
            self._node.destroy_lifecycle_publisher(publisher)

    def have_subscribers(self) -> bool:
        return any(publisher.get_subscription_count() > 0 for publisher in self._all())

    def wants(self, output: str, parameters: OutputParameters) -> bool:
        """Is an output beside the mask enabled and subscribed?"""
        return output in parameters.outputs and self._others[output].get_subscription_count() > 0

    def wanted(self, parameters: OutputParameters) -> Wanted:
        """What is to be computed with the next mask."""
        kind = np.dtype(PROBABILITIES[parameters.probabilities_type]).type
        return Wanted(
            self.wants("confidence", parameters), kind if self.wants("probabilities", parameters) else None
        )

    def publish(self, result: Segmentation, parameters: OutputParameters) -> None:
        header, mask = result.frame.header, result.mask
        self._mask.publish(messages.mono8_message(header, mask))
        self._sent += 1
        if "mask_info" in parameters.outputs:
            self._others["mask_info"].publish(
                MaskInfo(
                    header=header,
                    sequence=self._sent,
                    feature_stamp=messages.time_message(result.feature_stamp_ns),
                    **mask_info_fields(result),
                )
            )

        def give(output: str, make: Callable[[], object]) -> None:
            if self.wants(output, parameters):
                self._others[output].publish(make())

        if result.confidence is not None:
            self._others["confidence"].publish(messages.mono8_message(header, result.confidence))
        if result.probabilities is not None:
            self._others["probabilities"].publish(messages.channels_message(header, result.probabilities))
        give("mask_compressed", lambda: messages.png_message(header, mask))
        give("color_mask", lambda: messages.rgb8_message(header, coloured_mask(mask, self._map.colors)))
        for mapped, publisher in self._binary:
            if publisher.get_subscription_count() > 0:
                publisher.publish(messages.mono8_message(header, cv2.inRange(mask, mapped.id, mapped.id)))
        if self.wants("overlay", parameters) or self.wants("overlay_compressed", parameters):
            picture = _overlay(result, self._map.colors, parameters.overlay_alpha)
            give("overlay", lambda: messages.rgb8_message(header, picture))
            give(
                "overlay_compressed", lambda: messages.jpeg_message(header, picture, parameters.jpeg_quality)
            )

    def publish_info(self, info: CameraInfo) -> None:
        """Any thread."""
        self._others["camera_info"].publish(info)

    def publish_keyframe(self, event: KeyframeEvent) -> None:
        self._keyframe.publish(KeyframeMessage(header=event.frame.header, **keyframe_fields(event)))

    def _all(self) -> list:
        return [
            self._mask,
            self._keyframe,
            *self._others.values(),
            *(publisher for _, publisher in self._binary),
        ]


def binary_topic(name: str) -> str:
    """Below a camera's topics: mask/<class>, with _ for what topics may not hold. Raises ValueError where
    that is taken."""
    token = re.sub(r"\W|^(?=\d)", "_", name, flags=re.ASCII)
    if token == "compressed":
        raise ValueError(
            "binary_masks: mask/compressed is the mask as PNG; give class 'compressed' another name by "
            "class_map"
        )
    return f"mask/{token}"


def _overlay(result: Segmentation, colors: np.ndarray, alpha: float) -> np.ndarray:
    """The image with its classes coloured, at the size of the mask."""
    image, (height, width) = result.frame.rgb(), result.mask.shape
    if image.shape[:2] != (height, width):
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return blend(image, result.mask, colors, alpha)
