# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One camera's topics: the image that comes in, and everything that goes out for it."""

from __future__ import annotations

from copy import copy
from typing import Callable

from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import (
    QoSCompatibility, QoSProfile, qos_check_compatible, qos_policy_name_from_kind, qos_profile_sensor_data)
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CompressedImage, Image

from dcfm_ros.msg import KeyframeEvent as KeyframeMessage
from dcfm_ros.msg import MaskInfo
from dcfm_ros.pipeline.decoding import decode_compressed, decode_image
from dcfm_ros.pipeline.frames import Frame, KeyframeEvent, Segmentation
from dcfm_ros.pipeline.message_fields import keyframe_fields, mask_info_fields
from dcfm_ros.pipeline.overlay import blend
from dcfm_ros.ros import messages
from dcfm_ros.ros.diagnostics import TopicState
from dcfm_ros.ros.parameters import CameraParameters, OutputParameters, topic_parameter
from dcfm_ros.ros.sequence_gaps import SequenceGaps
from dcfm_ros.ros.shared_memory import room_for_images

_QUEUE = 5
LOG_PERIOD_S = 5.0   # of warnings that repeat


class CameraPort:
    """Publishers live from configure to cleanup, the subscription from activate to deactivate.

    `offer(camera, load)` takes each arriving image; `load(received_ns)` makes the frame of it on another thread.
    `publish` and `publish_keyframe` are called on the masks' thread.
    """

    def __init__(self, node: LifecycleNode, camera: CameraParameters, palette,
                 offer: Callable[[str, Callable[[int], Frame]], None]):
        self.camera, self._node, self._palette, self._offer = camera, node, palette, offer
        self.topic = node.resolve_topic_name(camera.image_topic)
        # A logger of its own, as throttled lines of one camera must not hide another's.
        self.log = node.get_logger().get_child(camera.name) if camera.name else node.get_logger()
        self._subscription = None
        self._sent = 0
        self.lost = 0  # images that DDS lost on the way, as it says itself
        self._gaps = SequenceGaps()
        prefix = f"{camera.name}/" if camera.name else ""

        def publisher(kind, topic):
            return node.create_lifecycle_publisher(
                kind, prefix + topic, QoSProfile(depth=_QUEUE),
                qos_overriding_options=QoSOverridingOptions.with_default_policies(),
                event_callbacks=PublisherEventCallbacks(use_default_callbacks=True))

        self._mask = publisher(Image, "mask")
        self._info = publisher(MaskInfo, "mask_info")
        self._keyframe = publisher(KeyframeMessage, "keyframe")
        self._confidence = publisher(Image, "confidence")
        self._overlay = publisher(Image, "overlay")
        self._overlay_jpeg = publisher(CompressedImage, "overlay/compressed")
        self._mask_png = publisher(CompressedImage, "mask/compressed")
        self._publishers = [self._mask, self._info, self._keyframe, self._confidence, self._overlay,
                            self._overlay_jpeg, self._mask_png]

    def subscribe(self) -> None:
        kind, decode = (CompressedImage, decode_compressed) if self.camera.compressed else (Image, decode_image)

        def received(message, info: dict) -> None:
            self._gaps.came(info.get("publication_sequence_number"))
            self._offer(self.camera.name, lambda received_ns: self._frame(message, decode, received_ns))

        self._gaps.publishers_are(0)   # none is known yet, and what was sent while nobody listened is no gap
        self._subscription = self._node.create_subscription(
            kind, self.camera.image_topic, received, copy(qos_profile_sensor_data),  # overrides are written into it
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
            event_callbacks=SubscriptionEventCallbacks(
                incompatible_qos=self._incompatible, message_lost=self._message_lost,
                matched=lambda info: self._gaps.publishers_are(info.current_count)))

    def topic_state(self) -> TopicState:
        wanted = f"sensor_msgs/msg/{'CompressedImage' if self.camera.compressed else 'Image'}"
        heard, unfit = 0, ""
        publishers = self._node.get_publishers_info_by_topic(self.camera.image_topic)   # which remaps the name itself
        for publisher in publishers:
            if publisher.topic_type == wanted:
                fits, reason = QoSCompatibility.OK, ""
                if self._subscription is not None:
                    fits, reason = qos_check_compatible(publisher.qos_profile, self._subscription.qos_profile)
                heard += fits != QoSCompatibility.ERROR
                unfit = reason.removeprefix("ERROR: ").strip(" ;") if fits == QoSCompatibility.ERROR else unfit
        others = {publisher.topic_type for publisher in publishers} - {wanted}
        return TopicState(
            self.topic, wanted, heard, tuple(sorted(others)), unfit, elsewhere=() if publishers else self._image_topics(),
            parameter=topic_parameter(self.camera.name), lost=self.lost, overwritten=self._gaps.overwritten)

    def _image_topics(self) -> tuple[str, ...]:
        """Where images are published, but for this node's own."""
        own = f"{self._node.get_namespace().rstrip('/')}/"
        return tuple(topic for topic, kinds in sorted(self._node.get_topic_names_and_types())
                     if {"sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"} & set(kinds)
                     and not topic.startswith(own) and self._node.count_publishers(topic))

    def unsubscribe(self) -> None:
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None

    def destroy(self) -> None:
        self.unsubscribe()
        for publisher in self._publishers:
            self._node.destroy_lifecycle_publisher(publisher)

    def wants(self, output: str, parameters: OutputParameters) -> bool:
        """Is an output enabled and subscribed?"""
        publisher = {"confidence": self._confidence, "overlay": self._overlay, "mask_info": self._info,
                     "overlay_compressed": self._overlay_jpeg, "mask_compressed": self._mask_png}[output]
        return output in parameters.outputs and publisher.get_subscription_count() > 0

    def publish(self, result: Segmentation, parameters: OutputParameters) -> None:
        header = result.frame.header
        self._mask.publish(messages.mono8_message(header, result.mask))
        self._sent += 1
        if "mask_info" in parameters.outputs:
            self._info.publish(MaskInfo(
                header=header, sequence=self._sent, feature_stamp=messages.time_message(result.feature_stamp_ns),
                **mask_info_fields(result)))
        if result.confidence is not None:
            self._confidence.publish(messages.mono8_message(header, result.confidence))
        if self.wants("mask_compressed", parameters):
            self._mask_png.publish(messages.png_message(header, result.mask))
        raw, jpeg = self.wants("overlay", parameters), self.wants("overlay_compressed", parameters)
        if raw or jpeg:
            picture = blend(result.frame.rgb(), result.mask, self._palette, parameters.overlay_alpha)
            if raw:
                self._overlay.publish(messages.rgb8_message(header, picture))
            if jpeg:
                self._overlay_jpeg.publish(messages.jpeg_message(header, picture, parameters.jpeg_quality))

    def publish_keyframe(self, event: KeyframeEvent) -> None:
        self._keyframe.publish(KeyframeMessage(header=event.frame.header, **keyframe_fields(event)))

    def _frame(self, message, decode, received_ns: int) -> Frame:
        decoded = decode(message)
        return Frame(self.camera.name, messages.stamp_ns(message.header.stamp), decoded.pixels, decoded.is_bgr,
                     received_ns, received_ns, message.header)

    def _message_lost(self, info) -> None:
        self.lost += info.total_count_change
        self._gaps.lost(info.total_count_change)
        self.log.warning(
            f"{self.lost} images lost on the way on {self.topic} so far: {room_for_images()}",
            throttle_duration_sec=LOG_PERIOD_S)

    def _incompatible(self, info) -> None:
        policy = qos_policy_name_from_kind(info.last_policy_kind).lower()
        self._node.get_logger().warning(f"a publisher on {self.topic} offers a QoS that does not fit: change the override "
                                        f"qos_overrides.{self.topic}.subscription.{policy}")
