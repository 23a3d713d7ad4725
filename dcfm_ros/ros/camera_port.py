# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Camera port: one camera's subscriptions to images and calibrations, and its outputs."""

from __future__ import annotations

import time
from collections.abc import Callable
from copy import copy
from functools import partial
from typing import Any

from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import (
    QoSCompatibility,
    qos_check_compatible,
    qos_policy_name_from_kind,
    qos_profile_sensor_data,
)
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo

from dcfm_ros.pipeline.frames import Frame, Segmentation
from dcfm_ros.ros.admission import RateLimit
from dcfm_ros.ros.camera_info import InfoPairing
from dcfm_ros.ros.camera_outputs import CameraOutputs
from dcfm_ros.ros.camera_parameters import CameraParameters, topic_parameter
from dcfm_ros.ros.diagnostics import TopicState
from dcfm_ros.ros.intake import Intake, open_intake
from dcfm_ros.ros.parameters import OutputParameters
from dcfm_ros.ros.sequence_gaps import SequenceGaps
from dcfm_ros.ros.serialized import reading
from dcfm_ros.ros.shared_memory import room_for_images
from dcfm_ros.ros.transports import TRANSPORTS, TYPES

LOG_PERIOD_S = 5.0  # throttle period of repeated warnings
_RIVAL_S = 25.0  # a killed segmenter's publisher stays in the graph for 20 s


class CameraPort:
    """Subscriptions and publishers of one camera. Publishers exist from configure to cleanup, subscriptions
    from activate to deactivate.

    `offer(camera, load)` is called with each arriving image; `load(received_ns)` creates its frame on another
    thread. For images that are not needed `skip(camera, reason)` is called instead, where the reason is a
    counter of CameraStatus, and for video packets without a picture `refuse(camera, error)`. For a video, all
    three are called on its decoder thread. `publish` is called on the mask thread.
    """

    def __init__(
        self,
        node: LifecycleNode,
        camera: CameraParameters,
        outputs: CameraOutputs,
        parameters: Callable[[], OutputParameters],
        offer: Callable[[str, Callable[[int], Frame]], None],
        skip: Callable[[str, str], None],
        refuse: Callable[[str, Exception], None],
    ):
        self.camera, self.outputs, self._node = camera, outputs, node
        self._offer, self._skip, self._refuse = offer, skip, refuse
        self._parameters = parameters
        self.topic = node.resolve_topic_name(camera.image_topic)
        # A separate logger, so that throttling one camera's lines does not suppress another's.
        self.log = node.get_logger().get_child(camera.name) if camera.name else node.get_logger()
        self._subscription: Subscription | None = None
        self._info_subscription: Subscription | None = None
        self._intake: Intake | None = None
        self.lost = 0  # images lost in transport, as reported by DDS
        self._gaps = SequenceGaps()
        self._alone_s = time.monotonic()  # when this node was last the only one on its mask's topic
        self._limit = RateLimit()
        self._infos = InfoPairing(node.resolve_topic_name(camera.info_topic), outputs.publish_info)

    def subscribe(self) -> None:
        kind, name = TRANSPORTS[self.camera.transport].message_class(), self.camera.name
        offer, refuse = partial(self._offer, name), partial(self._refuse, name)
        intake = self._intake = open_intake(name, self.camera.transport, self._admits, offer, refuse)
        read = reading(kind, intake.received, refuse)

        def received(data: bytes, info: Any) -> None:
            before = self._gaps.overwritten or 0
            self._gaps.received(info.get("publication_sequence_number"))
            if (self._gaps.overwritten or 0) > before:
                intake.lost()
            read(data)

        def matched(info: Any) -> None:
            self._gaps.set_publishers(info.current_count)

        self._gaps.set_publishers(0)  # images published before the subscription are not a gap
        self._subscription = self._node.create_subscription(
            kind,
            self.camera.image_topic,
            received,  # type: ignore[arg-type]  # rclpy gives a callback of two arguments the message's info
            copy(intake.qos),  # rclpy writes overrides into it
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
            event_callbacks=SubscriptionEventCallbacks(
                incompatible_qos=self._incompatible, message_lost=self._message_lost, matched=matched
            ),
            raw=True,
        )
        self._info_subscription = self._node.create_subscription(
            CameraInfo,
            self.camera.info_topic,
            reading(CameraInfo, self._infos.add_info, self._infos.refuse),
            copy(qos_profile_sensor_data),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
            raw=True,
        )

    def topic_state(self) -> TopicState:
        wanted = TRANSPORTS[self.camera.transport].type
        heard, unfit = 0, ""
        # remaps the name itself
        publishers = self._node.get_publishers_info_by_topic(self.camera.image_topic)
        for publisher in publishers:
            if publisher.topic_type == wanted:
                fits, reason = QoSCompatibility.OK, ""
                if self._subscription is not None:
                    fits, reason = qos_check_compatible(publisher.qos_profile, self._subscription.qos_profile)
                heard += fits != QoSCompatibility.ERROR
                unfit = (
                    reason.removeprefix("ERROR: ").strip(" ;") if fits == QoSCompatibility.ERROR else unfit
                )
        others = {publisher.topic_type for publisher in publishers} - {wanted}
        return TopicState(
            self.topic,
            wanted,
            heard,
            tuple(sorted(others)),
            unfit,
            elsewhere=() if publishers else self._image_topics(),
            parameter=topic_parameter(self.camera.name),
            infos=self._infos.counts(),
            lost=self.lost,
            overwritten=self._gaps.overwritten,
            rivals=self._rivals(),
        )

    def _rivals(self) -> tuple[str, ...]:
        """Return the other nodes that have published on this camera's mask topic for a while."""
        publishers = self._node.get_publishers_info_by_topic(self.outputs.mask_topic)
        names = [f"{one.node_namespace.rstrip('/')}/{one.node_name}" for one in publishers]
        own = self._node.get_fully_qualified_name()
        if own in names:
            names.remove(own)  # once: another process may have the same name
        if not names:
            self._alone_s = time.monotonic()
        return tuple(names) if time.monotonic() - self._alone_s > _RIVAL_S else ()

    def _image_topics(self) -> tuple[str, ...]:
        """Return all topics on which images are published, except this node's own."""
        own = f"{self._node.get_namespace().rstrip('/')}/"
        return tuple(
            topic
            for topic, kinds in sorted(self._node.get_topic_names_and_types())
            if TYPES.keys() & set(kinds) and not topic.startswith(own) and self._node.count_publishers(topic)
        )

    def unsubscribe(self) -> None:
        for subscription in (self._subscription, self._info_subscription):
            if subscription is not None:
                self._node.destroy_subscription(subscription)
        self._subscription, self._info_subscription = None, None
        if self._intake is not None:
            self._intake.stop()
            self._intake = None

    def destroy(self) -> None:
        self.unsubscribe()
        self.outputs.destroy()

    def publish(self, result: Segmentation, parameters: OutputParameters) -> None:
        self.outputs.publish(result, parameters)
        if self.outputs.wants("camera_info", parameters):
            self._infos.add_mask(result.frame.context, result.frame.image.shape[:2], result.mask.shape)

    def _admits(self, stamp_ns: int) -> bool:
        if reason := self._skip_reason(stamp_ns):
            self._skip(self.camera.name, reason)
        return not reason

    def _skip_reason(self, stamp_ns: int) -> str:
        """Return why this image gets no mask, as a counter of CameraStatus; empty if it gets one."""
        parameters = self._parameters()
        if parameters.lazy and not self.outputs.have_subscribers():
            return "unheard"
        return "" if self._limit.admits(stamp_ns, parameters.max_rate) else "over_rate"

    def _message_lost(self, info) -> None:
        self.lost += info.total_count_change
        if self._gaps.overwritten is None and self._intake is not None:  # otherwise seen by sequence numbers
            self._intake.lost()
        self._gaps.lost(info.total_count_change)
        self.log.warning(
            f"{self.lost} images lost in transport on {self.topic} so far: {room_for_images()}",
            throttle_duration_sec=LOG_PERIOD_S,
        )

    def _incompatible(self, info) -> None:
        policy = qos_policy_name_from_kind(info.last_policy_kind).lower()
        self._node.get_logger().warning(
            f"a publisher on {self.topic} offers an incompatible QoS: change the override "
            f"qos_overrides.{self.topic}.subscription.{policy}"
        )
