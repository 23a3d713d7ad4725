# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the node `points`: read once, at the start."""

from __future__ import annotations

from dataclasses import dataclass

from rclpy.node import Node

from dcfm_ros.pipeline.topics import IMAGE, prefix_of
from dcfm_ros.ros.calibration import info_topic
from dcfm_ros.ros.names import resolved_in_robot
from dcfm_ros.ros.parameter_types import Declared, declare, declared_from, typed
from dcfm_ros.setting_fields import check, setting
from dcfm_ros.stamps import NS_PER_S


@dataclass(frozen=True)
class GeometrySource:
    """Where geometry comes from: in words, its type, and its topic by default."""

    description: str
    type: str
    topic: str


_CLOUD = "sensor_msgs/msg/PointCloud2"
SOURCES = {
    "depth": GeometrySource("a registered depth image", IMAGE, "camera/depth/image_raw"),
    "cloud": GeometrySource("a depth camera's organised cloud", _CLOUD, "camera/depth/points"),
    "lidar": GeometrySource("any cloud, with a transform", _CLOUD, "lidar/points"),
}
_SYNCS = ("auto", "exact", "nearest")


@dataclass(frozen=True)
class PointsParameters:
    """Parameters of the node. In those that `read` returns, topics are before remapping, info_topic is empty
    if none is needed, and sync is not auto."""

    source: str = setting(
        "depth",
        "where geometry comes from: "
        f"{', '.join(f'{name} ({source.description})' for name, source in SOURCES.items())}",
        choices=tuple(SOURCES),
    )
    topic: str = setting(
        "",
        "topic of the geometry; a relative name begins in the robot's namespace; empty: "
        f"{', '.join(f'{source.topic} for {name}' for name, source in SOURCES.items())}",
    )
    info_topic: str = setting(
        "",
        "topic of camera_info: for depth of the depth image, for lidar of the masks' camera; empty: beside "
        "the depth image, or beside the mask",
    )
    camera: str = setting("", "which of several cameras of the segmenter; empty: its only one")
    classes: tuple[str, ...] = setting((), "names of classes whose points stay; none: all points")
    confidence: bool = setting(False, "add the segmenter's confidence, which it then computes")
    sync: str = setting(
        "auto",
        "which mask: exact (of equal stamp), nearest (in slop_s); auto: nearest for lidar, else exact",
        choices=_SYNCS,
    )
    slop_s: float = setting(
        0.05, "for nearest: difference of stamps at most, in seconds", low=0, high=10, unit="seconds"
    )
    waiting: int = setting(
        10,
        "masks, and messages with geometry, that may wait; beyond these the oldest leaves",
        low=1,
        high=100,
    )
    rectified: bool = setting(False, "is the image rectified: P of camera_info holds for it, else K and D")
    drop_outside: bool = setting(
        False, "for lidar: remove points that the camera does not see, instead of label 255"
    )
    allow_other_frame: bool = setting(
        False, "for depth and cloud: take geometry whose frame_id is not the mask's"
    )
    transform: str = setting(
        "", "for lidar: its pose in the camera's optical frame, 'x y z qx qy qz qw'; empty: from tf"
    )

    def __post_init__(self):
        check(self)

    @property
    def prefix(self) -> str:
        """Prefix of the segmenter's topics and of the output topic."""
        return prefix_of(self.camera)

    @property
    def slop_ns(self) -> int:
        return round(self.slop_s * NS_PER_S) if self.sync == "nearest" else 0


PARAMETERS: dict[str, Declared] = declared_from(PointsParameters, read_only=True)


def read(node: Node) -> PointsParameters:
    """Declare and read the parameters. Raises ValueError, naming value and remedy, for an invalid one."""
    declare(node, PARAMETERS)
    values = {name: typed(name, node.get_parameter(name).value, PARAMETERS[name]) for name in PARAMETERS}
    PointsParameters(**values)  # refuses what is no choice
    source, sync = values["source"], values["sync"]
    for name, meaning in (("transform", ""), ("drop_outside", False)):
        if source != "lidar" and values[name] != meaning:
            raise ValueError(
                f"{name} is {values[name]!r}, which does not apply to source {source}: leave it out"
            )
    if sync == "auto":
        values["sync"] = "nearest" if source == "lidar" else "exact"
    values["topic"], resolved = resolved_in_robot(node, "topic", values["topic"] or SOURCES[source].topic)
    if source == "cloud":
        values["info_topic"] = ""
    elif values["info_topic"]:
        values["info_topic"] = resolved_in_robot(node, "info_topic", values["info_topic"])[0]
    elif source == "depth":
        values["info_topic"] = info_topic(resolved)
    else:
        values["info_topic"] = f"{prefix_of(values['camera'])}camera_info"
    return PointsParameters(**values)
