# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters of the segmenter's cameras: their topics, for the only camera or for each of several."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rclpy.node import Node

from dcfm_ros.ros.calibration import info_topic
from dcfm_ros.ros.names import resolved_in_robot
from dcfm_ros.ros.parameter_types import Declared, declare, typed
from dcfm_ros.ros.transports import TRANSPORTS, transport_of

IMAGE_TRANSPORTS = ("auto", *TRANSPORTS)  # names of image_transport; auto looks at the topic's name
_TAKES_EFFECT = " Takes effect at configure."


@dataclass(frozen=True)
class CameraParameters:
    """Parameters of a camera. name is empty for the only camera, whose topics are directly in the node's
    namespace."""

    name: str
    image_topic: str  # absolute or private, before remapping
    transport: str  # of TRANSPORTS
    info_topic: str  # the same of its camera_info


def of_camera(name: str) -> dict[str, Declared]:
    """Return the parameters of one camera; name is empty for the only one."""
    prefix, of = (f"{name}.", f" of {name}") if name else ("", " of the camera")
    return {
        f"{prefix}image_topic": Declared(
            f"{name or 'camera'}/image_raw",
            f"Image topic{of}; a relative name begins in the robot's namespace, above the node's own `dcfm`."
            f"{_TAKES_EFFECT}",
        ),
        f"{prefix}image_transport": Declared(
            "auto",
            f"Type of the image topic{of}: {', '.join(IMAGE_TRANSPORTS)}; auto: what the topic's name ends "
            f"in, else raw.{_TAKES_EFFECT}",
        ),
        f"{prefix}camera_info_topic": Declared(
            "",
            f"Calibration{of}, for camera_info beside the masks; empty: camera_info beside the image topic."
            f"{_TAKES_EFFECT}",
        ),
    }


CAMERAS = {
    **of_camera(""),
    "cameras": Declared(
        (),
        "Names of several cameras; each has <name>.image_topic, .image_transport and .camera_info_topic."
        + _TAKES_EFFECT,
    ),
}


def declare_cameras(node: Node) -> None:
    """Declare the parameters of the cameras named in `cameras` that are not declared yet."""
    try:
        names = camera_names(node.get_parameter("cameras").value)
    except ValueError:  # reported when the node is configured, after which they can be corrected
        return
    for name in names:
        declare(node, of_camera(name))


def declare_camera_of(node: Node, parameter: str) -> None:
    """Declare the parameters of the camera whose `parameter` is about to be set, before or together with the
    list of `cameras`."""
    camera, _, _key = parameter.rpartition(".")
    if camera.isascii() and camera.isidentifier() and parameter in of_camera(camera):
        declare(node, of_camera(camera))


def camera_names(value: object) -> list[str]:
    """Return the names of several cameras from the parameter's value; empty for one unnamed camera. Raises
    ValueError for names that are not valid in topics."""
    names = typed("cameras", value, CAMERAS["cameras"])
    for name in names:
        if not (name.isascii() and name.isidentifier()):
            raise ValueError(f"camera name {name!r}: use letters, digits and _, not starting with a digit")
        if name == "backend":
            raise ValueError(
                "camera name 'backend': diagnostics call the inference backend so; use another name"
            )
    if len(set(names)) != len(names):
        raise ValueError(f"camera names repeat in {list(names)}: make them unique")
    return list(names)


def topic_parameter(camera: str) -> str:
    """Return the parameter that names a camera's image topic; camera is empty for the only one."""
    return next(iter(of_camera(camera)))


def camera_parameters(names: list[str]) -> list[str]:
    """Return the names of the parameters of these cameras."""
    return [key for name in names or [""] for key in of_camera(name)]


def read_cameras(node: Node, value: Callable[[str], object] | None = None) -> list[CameraParameters]:
    """Read the cameras of a segmenter, from the node's own parameters or, with `value(name)`, from those of
    another node in the same namespace."""
    if value is None:
        declare_cameras(node)
        value = lambda name: node.get_parameter(name).value
    names = camera_names(value("cameras"))
    return [_camera(node, name, value) for name in names or [""]]


def _camera(node: Node, name: str, value: Callable[[str], object]) -> CameraParameters:
    topic_key, transport_key, info_key = camera_parameters([name] if name else [])
    topic, transport, info = (typed(key, value(key), declared) for key, declared in of_camera(name).items())
    if not topic:
        raise ValueError(f"{topic_key} is empty: name the camera's image topic")
    topic, resolved = resolved_in_robot(node, topic_key, topic)
    info = resolved_in_robot(node, info_key, info)[0] if info else info_topic(resolved)
    if transport not in IMAGE_TRANSPORTS:
        raise ValueError(f"{transport_key} {transport!r}: use one of {', '.join(IMAGE_TRANSPORTS)}")
    transport = transport_of(resolved) if transport == "auto" else transport
    TRANSPORTS[transport].message_class()  # is it installed?
    return CameraParameters(name, topic, transport, info)
