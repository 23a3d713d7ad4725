# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the node `points`: read once, at the start."""

from __future__ import annotations

from dataclasses import dataclass, fields

from rclpy.node import Node

from dcfm_ros.ros.calibration import info_topic
from dcfm_ros.ros.names import resolved_in_robot
from dcfm_ros.ros.parameter_types import Declared, declare, typed

SOURCES = {
    "depth": "camera/depth/image_raw",
    "cloud": "camera/depth/points",
    "lidar": "lidar/points",
}  # and default topics
_SYNCS = ("auto", "exact", "nearest")
_PARAMETERS = {
    "source": Declared(
        "depth",
        "Where geometry comes from: depth (a registered depth image), cloud (a depth camera's organised "
        "cloud), lidar (any cloud, with a transform).",
    ),
    "topic": Declared(
        "",
        "Of the geometry; a relative name begins in the robot's namespace. Empty: "
        f"{', '.join(f'{topic} for {source}' for source, topic in SOURCES.items())}.",
    ),
    "info_topic": Declared(
        "",
        "camera_info: for depth of the depth image, for lidar of the masks' camera. Empty: beside the "
        "depth image, or beside the mask.",
    ),
    "camera": Declared("", "Which of several cameras of the segmenter; empty: its only one."),
    "classes": Declared((), "Names of classes whose points stay; none: all points."),
    "confidence": Declared(False, "Add the segmenter's confidence, which it then computes."),
    "sync": Declared(
        "auto",
        "Which mask: exact (of equal stamp), nearest (in slop_s); auto: nearest for lidar, else exact.",
    ),
    "slop_s": Declared(0.05, "For nearest: difference of stamps at most, in seconds.", 0.0, 10.0),
    "waiting": Declared(
        10, "Masks, and messages with geometry, that may wait; beyond these the oldest leaves.", 1, 100
    ),
    "rectified": Declared(False, "Is the image rectified: P of camera_info holds for it, else K and D."),
    "drop_outside": Declared(
        False, "For lidar: remove points that the camera does not see, instead of label 255."
    ),
    "allow_other_frame": Declared(
        False, "For depth and cloud: take geometry whose frame_id is not the mask's."
    ),
    "transform": Declared(
        "", "For lidar: its pose in the camera's optical frame, 'x y z qx qy qz qw'; empty: from tf."
    ),
}


@dataclass(frozen=True)
class PointsParameters:
    """Topics are as subscriptions take them, before remapping; info_topic is empty where none is needed."""

    source: str
    topic: str
    info_topic: str
    camera: str
    classes: tuple[str, ...]
    confidence: bool
    sync: str
    slop_s: float
    waiting: int
    rectified: bool
    drop_outside: bool
    allow_other_frame: bool
    transform: str

    @property
    def prefix(self) -> str:
        """Of the segmenter's topics, and of the output."""
        return f"{self.camera}/" if self.camera else ""

    @property
    def slop_ns(self) -> int:
        return round(self.slop_s * 1e9) if self.sync == "nearest" else 0


def read(node: Node) -> PointsParameters:
    """Declares and reads them. Raises ValueError, naming value and remedy, for one that cannot be used."""
    declare(
        node,
        {
            name: Declared(p.default, p.description, p.low, p.high, read_only=True)
            for name, p in _PARAMETERS.items()
        },
    )
    values = {
        field.name: typed(field.name, node.get_parameter(field.name).value, _PARAMETERS[field.name])
        for field in fields(PointsParameters)
    }
    source, sync = values["source"], values["sync"]
    if source not in SOURCES:
        raise ValueError(f"source {source!r}: use one of {', '.join(SOURCES)}")
    if sync not in _SYNCS:
        raise ValueError(f"sync {sync!r}: use one of {', '.join(_SYNCS)}")
    for name, meaning in (("transform", ""), ("drop_outside", False)):
        if source != "lidar" and values[name] != meaning:
            raise ValueError(
                f"{name} is {values[name]!r}, which means nothing for source {source}: leave it out"
            )
    if sync == "auto":
        values["sync"] = "nearest" if source == "lidar" else "exact"
    values["topic"], resolved = resolved_in_robot(node, "topic", values["topic"] or SOURCES[source])
    if source == "cloud":
        values["info_topic"] = ""
    elif values["info_topic"]:
        values["info_topic"] = resolved_in_robot(node, "info_topic", values["info_topic"])[0]
    elif source == "depth":
        values["info_topic"] = info_topic(resolved)
    else:
        values["info_topic"] = f"{values['camera']}/camera_info" if values["camera"] else "camera_info"
    return PointsParameters(**values)
