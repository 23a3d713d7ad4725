# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters of the segmenter: declared from the pipeline's settings and read into validated
configurations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from rclpy.node import Node
from rclpy.parameter import Parameter

from dcfm_ros.pipeline.settings import NetworkSettings, PipelineConfig, SchedulerConfig
from dcfm_ros.pipeline.topics import SWITCHED
from dcfm_ros.ros.camera_parameters import CAMERAS, camera_names, declare_cameras, of_camera
from dcfm_ros.ros.parameter_types import Declared, declare, declared_from, typed
from dcfm_ros.setting_fields import check, setting

OUTPUTS = tuple(SWITCHED)
PROBABILITIES = {"8U": "uint8", "32F": "float32"}  # as in the encodings of images, and their types
_SLOWEST = 1.5  # images in `silence_s`, at least
_SCHEDULER = tuple(field.name for field in fields(SchedulerConfig))
_AT_CONFIGURE = (
    "model",
    "backend",
    "device",
    "precision",
    "turns",
    "mode",
    "alignment",
    "silence_s",
    "waiting_images",
    "image_topic",
    "image_transport",
    "cameras",
    "bond",
    "camera_info_topic",
    "mask_size",
    "class_map",
    "binary_masks",
)


@dataclass(frozen=True)
class OutputParameters:
    """Parameters of the outputs, which may be changed at any time."""

    outputs: tuple[str, ...] = setting(
        OUTPUTS, "outputs beside the mask that may be computed, while subscribed", choices=OUTPUTS
    )
    overlay_alpha: float = setting(0.5, "weight of the class colours in the overlay", low=0, high=1)
    jpeg_quality: int = setting(85, "JPEG quality of the compressed overlay", low=1, high=100)
    probabilities_type: str = setting(
        "8U", "type of a class's probability; 8U is times 255", choices=tuple(PROBABILITIES)
    )
    lazy: bool = setting(False, "compute nothing while nobody subscribes to any output")
    max_rate: float = setting(
        0.0, "masks per second of a camera, at most, by its images' stamps; 0: no bound", low=0, high=1000
    )

    def __post_init__(self):
        check(self)


@dataclass(frozen=True)
class NodeParameters:
    """Parameters of the node itself."""

    binary_masks: tuple[str, ...] = setting(
        (), "names of classes that have a mask of their own, 255 where they are: mask/<class>"
    )
    bond: bool = setting(
        True,
        "without autostart: keep a bond while active, as Nav2's lifecycle manager wants (where bondpy is "
        "installed)",
    )
    min_mask_hz: float = setting(
        0.0,
        "diagnostics are an error where a camera has fewer masks per second; 0: no bound",
        low=0,
        high=1000,
    )


SEGMENTER: dict[str, Declared] = {
    **declared_from(NetworkSettings, at_configure=_AT_CONFIGURE),
    **declared_from(PipelineConfig, at_configure=_AT_CONFIGURE),
    **declared_from(SchedulerConfig),
    **declared_from(OutputParameters),
    **declared_from(NodeParameters, at_configure=_AT_CONFIGURE),
    "autostart": Declared(
        True, "Configure and activate at once; false leaves it to a lifecycle manager.", read_only=True
    ),
    **CAMERAS,
}


def declare_segmenter(node: Node) -> None:
    declare(node, SEGMENTER)
    declare_cameras(node)


def check_values(node: Node) -> None:
    """Raise ValueError, naming value and remedy, if a value given at the start has the wrong type."""
    for name in SEGMENTER:
        value_of(node, name)


def value_of(node: Node, name: str, changed: Mapping[str, object] | None = None) -> Any:
    """Return the value of a parameter of the segmenter, converted to its type; for one in `changed`, the
    value about to be set."""
    value = changed[name] if changed and name in changed else node.get_parameter(name).value
    return typed(name, value, SEGMENTER[name])


def read_pipeline(node: Node) -> PipelineConfig:
    return PipelineConfig(
        scheduler=read_scheduler(node),
        **{
            name: value_of(node, name)
            for name in ("mode", "alignment", "turns", "silence_s", "waiting_images", "mask_size")
        },
    )


def read_scheduler(node: Node, changed: Mapping[str, object] | None = None) -> SchedulerConfig:
    """Read the scheduler's settings, including values about to be set."""
    return SchedulerConfig(**{name: value_of(node, name, changed) for name in _SCHEDULER})


def read_outputs(node: Node, changed: Mapping[str, object] | None = None) -> OutputParameters:
    read = OutputParameters(
        **{field.name: value_of(node, field.name, changed) for field in fields(OutputParameters)}
    )
    least = _SLOWEST / value_of(node, "silence_s", changed)
    if 0 < read.max_rate < least:
        raise ValueError(
            f"max_rate {read.max_rate:g}: images would be so far apart that each starts a new sequence, "
            f"after a silence; use at least {least:g}, or raise silence_s"
        )
    return read


def check_change(node: Node, parameters: list[Parameter], configured: bool) -> None:
    """Raise ValueError, naming value and remedy, if these parameters must not be set now. A parameter may
    always be set to its current value.

    Before the node is configured, parameters are checked individually, so that several invalid ones can be
    corrected one by one; their combination is checked when it is configured.
    """
    # the others are being declared
    known = [parameter for parameter in parameters if node.has_parameter(parameter.name)]
    for parameter in known:
        if parameter.type_ == Parameter.Type.NOT_SET:
            raise ValueError(f"{parameter.name} cannot be deleted: set it to another value")
    changed = {
        parameter.name: parameter.value
        for parameter in known
        if not _same(parameter, node.get_parameter(parameter.name))
    }
    for name, value in changed.items():
        if configured and name.split(".")[-1] in _AT_CONFIGURE and not name.startswith("qos_overrides"):
            raise ValueError(
                f"{name} {value!r} takes effect when the node is configured: deactivate and clean up first"
            )
        if declared := {**SEGMENTER, **of_camera(name.rpartition(".")[0])}.get(name):
            typed(name, value, declared)
    if "cameras" in changed:
        camera_names(changed["cameras"])
    if configured:
        replace(read_pipeline(node), scheduler=read_scheduler(node, changed))
        read_outputs(node, changed)


def _same(one: Parameter, other: Parameter) -> bool:
    return one.type_ == other.type_ and one.value == other.value
