# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node `points`: joins the segmenter's masks with depth images or point clouds and publishes labelled
point clouds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from copy import copy
from typing import Any

from rclpy.event_handler import PublisherEventCallbacks
from rclpy.node import Node
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField

from dcfm_ros import stamps
from dcfm_ros.msg import ClassPalette
from dcfm_ros.pipeline.decoding import MessageError
from dcfm_ros.pipeline.topics import IMAGE
from dcfm_ros.points.camera import Camera, read_camera
from dcfm_ros.points.cloud import LabelledCloud, read_cloud
from dcfm_ros.points.errors import PointsError
from dcfm_ros.points.images import read_depth, read_mask
from dcfm_ros.points.labelling import (
    ClassTable,
    Labels,
    class_table,
    label_depth,
    label_lidar,
    label_organised,
)
from dcfm_ros.ros import points_parameters, process
from dcfm_ros.ros.camera_port import LOG_PERIOD_S
from dcfm_ros.ros.latched import LATCHED
from dcfm_ros.ros.message_types import message_class
from dcfm_ros.ros.names import PACKAGE_NAMESPACE
from dcfm_ros.ros.nearest_join import NearestJoin, Pair
from dcfm_ros.ros.points_health import Input, PointsHealth, PointsState
from dcfm_ros.ros.seldom import Seldom
from dcfm_ros.ros.serialized import reading
from dcfm_ros.ros.stamp_join import StampJoin
from dcfm_ros.ros.transforms import FixedTransform, TfTransforms, Transforms

_DEPTH = 5


class PointsNode(Node):
    """Points node. Subscribes to masks and geometry only while its points have subscribers.

    `counts`: masks and geometry received; clouds published; geometry without a mask; masks without geometry,
    and without the requested confidence; refused_<kind>: by the kind of `PointsError`, `palette` if there is
    none yet, and `message` for bytes that are none.
    """

    def __init__(self, transforms: Transforms | None = None, **node_options):
        super().__init__("points", namespace=PACKAGE_NAMESPACE, **node_options)
        self._settings = settings = points_parameters.read(self)
        self._transforms = transforms or self._make_transforms()
        self.counts = Counter(
            masks=0, geometry=0, published=0, without_mask=0, without_geometry=0, without_confidence=0
        )
        self._last_error = ""
        self._said = Seldom(LOG_PERIOD_S)
        self._apart_ns: int | None = None
        self._info: CameraInfo | None = None
        self._classes: ClassTable | None = None
        self._without_classes = "no palette yet: is the segmenter active?"
        self._subscriptions_on_demand: list = []
        self._reset_joins()
        self.create_subscription(
            ClassPalette,
            f"{settings.prefix}palette",
            reading(ClassPalette, self._palette, self._refuse),
            LATCHED,
            raw=True,
        )
        if settings.info_topic:
            self._subscribe(CameraInfo, settings.info_topic, self._take_info)
        self._publisher = self.create_publisher(
            PointCloud2,
            f"{settings.prefix}points",
            QoSProfile(depth=_DEPTH),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
            event_callbacks=PublisherEventCallbacks(matched=self._matched),
        )
        mask, topic = f"{settings.prefix}mask", settings.topic
        PointsHealth(
            self,
            [
                Input(self.resolve_topic_name(mask), IMAGE, "masks", "start the segmenter, or set camera"),
                Input(
                    self.resolve_topic_name(topic),
                    points_parameters.SOURCES[settings.source].type,
                    "geometry",
                    "start the sensor, or set topic and source",
                ),
            ],
            self._state,
        )
        self.get_logger().info(
            f"{settings.source} {self.resolve_topic_name(topic)} and {self.resolve_topic_name(mask)} -> "
            f"{self._publisher.topic_name}"
        )

    def _make_transforms(self) -> Transforms | None:
        if self._settings.source != "lidar":
            return None
        return FixedTransform(self._settings.transform) if self._settings.transform else TfTransforms(self)

    def _reset_joins(self) -> None:
        """Create empty joins."""
        self._masks = StampJoin(("mask", "confidence"), self._settings.waiting)
        self._pairs = NearestJoin(self._settings.slop_ns, self._settings.waiting)

    def _follow_demand(self, is_wanted: bool) -> None:
        if is_wanted == bool(self._subscriptions_on_demand):
            return
        if is_wanted:
            settings = self._settings
            self._reset_joins()
            self._subscriptions_on_demand = [
                self._subscribe(
                    message_class(points_parameters.SOURCES[settings.source].type),
                    settings.topic,
                    self._take_geometry,
                ),
                self._subscribe(Image, f"{settings.prefix}mask", self._take_mask),
            ]
            if settings.confidence:
                self._subscriptions_on_demand.append(
                    self._subscribe(
                        Image,
                        f"{settings.prefix}confidence",
                        lambda message: self._take_part("confidence", message),
                    )
                )
        else:
            for subscription in self._subscriptions_on_demand:
                self.destroy_subscription(subscription)
            self._subscriptions_on_demand = []
            self._reset_joins()

    def _subscribe(self, kind: type, topic: str, received: Callable[[Any], None]) -> Subscription:
        return self.create_subscription(
            kind,
            topic,
            reading(kind, received, self._refuse),
            copy(qos_profile_sensor_data),  # rclpy writes overrides into it
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
            raw=True,
        )

    def _palette(self, message: ClassPalette) -> None:
        try:
            self._classes = class_table(
                [(c.id, c.name, (c.r, c.g, c.b)) for c in message.classes], self._settings.classes
            )
        except ValueError as error:  # the model has other classes
            self._classes, self._without_classes = None, str(error)
            self.get_logger().error(str(error))

    def _take_info(self, message: CameraInfo) -> None:
        self._info = message

    def _take_mask(self, message: Image) -> None:
        self.counts["masks"] += 1
        if self._settings.confidence:
            self._take_part("mask", message)
        else:
            self._join_mask(message, None)

    def _matched(self, info: Any) -> None:
        self._follow_demand(info.current_count > 0)

    def _take_part(self, part: str, message: Image) -> None:
        for _, parts in self._masks.add(stamps.stamp_ns(message.header.stamp), part, message):
            if len(parts) == 2:
                self._join_mask(parts["mask"], parts["confidence"])
            else:
                self.counts["without_confidence"] += "mask" in parts

    def _join_mask(self, mask: Image, confidence: Image | None) -> None:
        self._publish_all(self._pairs.add_mask(stamps.stamp_ns(mask.header.stamp), (mask, confidence)))

    def _take_geometry(self, message: Image | PointCloud2) -> None:
        self.counts["geometry"] += 1
        self._publish_all(self._pairs.add_value(stamps.stamp_ns(message.header.stamp), message))

    def _publish_all(self, pairs: list[Pair]) -> None:
        self.counts["without_geometry"] += self._pairs.take_unused()
        for geometry, mask, apart_ns in pairs:
            if mask is None:
                self.counts["without_mask"] += 1
                self._apart_ns = apart_ns
                continue
            try:
                message = cloud_message(geometry.header, self._label(geometry, *mask))
            except PointsError as error:
                self._refuse(error)
                continue
            self._publisher.publish(message)
            self.counts["published"] += 1

    def _refuse(self, error: PointsError | MessageError) -> None:
        self.counts[f"refused_{error.kind}"] += 1
        self._last_error = str(error)
        if self._said.is_time("refused"):
            self.get_logger().warning(f"refused: {error}")

    def _label(self, geometry: Image | PointCloud2, mask: Image, confidence: Image | None) -> LabelledCloud:
        settings = self._settings
        if self._classes is None:
            raise PointsError("palette", self._without_classes)
        labels = Labels(read_mask(mask), None if confidence is None else read_mask(confidence), self._classes)
        frame, frame_of_mask = geometry.header.frame_id, mask.header.frame_id
        if settings.source == "lidar":
            assert self._transforms is not None  # made for this source
            to_camera = self._transforms.lookup(frame_of_mask, frame, geometry.header.stamp)
            return label_lidar(
                read_cloud(geometry),
                geometry.is_dense,
                self._camera(),
                to_camera,
                labels,
                settings.drop_outside,
            )
        if frame != frame_of_mask and not settings.allow_other_frame:
            raise PointsError(
                "frame",
                f"{settings.source} has frame_id {frame[:60]!r}, but the mask has {frame_of_mask[:60]!r}: "
                "use what is registered to the camera of the masks, or set allow_other_frame to true",
            )
        if settings.source == "depth":
            return label_depth(read_depth(geometry), self._camera(), labels)
        return label_organised(read_cloud(geometry), geometry.is_dense, labels)

    def _camera(self) -> Camera:
        if self._info is None:
            raise PointsError(
                "camera",
                f"no camera_info yet on {self.resolve_topic_name(self._settings.info_topic)}: start its "
                "publisher, or set info_topic",
            )
        return read_camera(self._info, self._settings.rectified)

    def _state(self) -> PointsState:
        return PointsState(
            self._publisher.topic_name,
            bool(self._subscriptions_on_demand),
            self.counts,
            self._last_error,
            self._apart_ns,
            self._settings.sync == "exact",
        )


def cloud_message(header, cloud: LabelledCloud) -> PointCloud2:
    """Return a labelled cloud as a message. `header` and the cloud's memory are used as they are."""
    height, width = cloud.records.shape
    step = cloud.records.dtype.itemsize
    fields = [
        PointField(name=f.name, offset=f.offset, datatype=f.datatype, count=f.count) for f in cloud.fields
    ]
    return PointCloud2(
        header=header,
        height=height,
        width=width,
        fields=fields,
        is_bigendian=False,
        point_step=step,
        row_step=step * width,
        data=cloud.data,
        is_dense=cloud.is_dense,
    )


def main(arguments: list[str] | None = None) -> int:
    process.run(PointsNode, arguments)
    return 0
