# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The segmenter's parameters: declared from the pipeline's own defaults, read into validated
configurations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches

from rclpy.node import Node
from rclpy.parameter import Parameter

from dcfm_ros.config_folders import ready_class_maps
from dcfm_ros.pipeline.settings import (
    BACKENDS,
    DEFAULT_MODEL,
    DEVICES,
    PRECISIONS,
    THRESHOLDS,
    AksScore,
    Alignment,
    Mode,
    PipelineConfig,
    SchedulerConfig,
    ThresholdRule,
    TurnTaking,
)
from dcfm_ros.ros.calibration import info_topic
from dcfm_ros.ros.names import resolved_in_robot
from dcfm_ros.ros.parameter_types import Declared, Value, declare, typed
from dcfm_ros.ros.transports import TRANSPORTS, transport_of

OUTPUTS = (
    "mask_info",
    "confidence",
    "overlay",
    "overlay_compressed",
    "mask_compressed",
    "color_mask",
    "probabilities",
    "camera_info",
)
PROBABILITIES = {"8U": "uint8", "32F": "float32"}  # as in the encodings of images, and their types
IMAGE_TRANSPORTS = ("auto", *TRANSPORTS)  # names of image_transport; auto looks at the topic's name
_SLOWEST = 1.5  # images in `silence_s`, at least
_DEFAULT = PipelineConfig()
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


def _one_of(choices) -> str:
    return ", ".join(getattr(choice, "value", choice) for choice in choices)


def _of_camera(name: str) -> dict[str, Declared]:
    """The parameters of one camera; name is empty for the only one."""
    prefix, of = (f"{name}.", f" of {name}") if name else ("", " of the camera")
    return {
        f"{prefix}image_topic": Declared(
            f"{name or 'camera'}/image_raw",
            f"Image topic{of}; a relative name begins in the robot's namespace, above the node's own `dcfm`.",
        ),
        f"{prefix}image_transport": Declared(
            "auto",
            f"Type of the image topic{of}: {_one_of(IMAGE_TRANSPORTS)}; auto: what the topic's name ends in, "
            f"else raw.",
        ),
        f"{prefix}camera_info_topic": Declared(
            "",
            f"Calibration{of}, for camera_info beside the masks; empty: camera_info beside the image topic.",
        ),
    }


CAMERAS = {
    **_of_camera(""),
    "cameras": Declared(
        (), "Names of several cameras; each has <name>.image_topic, .image_transport and .camera_info_topic."
    ),
}
SEGMENTER = {
    "model": Declared(
        DEFAULT_MODEL, "Built-in model name, or a folder with model.yaml and weights.safetensors."
    ),
    "backend": Declared("auto", f"Inference backend: {_one_of(BACKENDS)}."),
    "device": Declared("auto", f"Device of the inference backend: {DEVICES}."),
    "precision": Declared(
        "auto", f"Of the networks' arithmetic: {_one_of(PRECISIONS)}; auto is the processor's own."
    ),
    "turns": Declared(
        _DEFAULT.turns.value, f"How deep path and frames share the processor: {_one_of(TurnTaking)}."
    ),
    "mode": Declared(_DEFAULT.mode.value, f"When a keyframe's deep result is used: {_one_of(Mode)}."),
    "alignment": Declared(
        _DEFAULT.alignment.value,
        f"Do common features move with the scene: {_one_of(Alignment)} (the published method).",
    ),
    "silence_s": Declared(
        _DEFAULT.silence_s, "A camera silent for longer starts anew, in seconds of image stamps.", 0.1, 3600
    ),
    "waiting_images": Declared(
        _DEFAULT.waiting_images,
        "Images of a camera that may wait; beyond these the oldest is dropped.",
        1,
        100,
    ),
    "mask_size": Declared(
        _DEFAULT.mask_size,
        "Size of masks and all that has their size: WIDTHxHEIGHT, or a factor of the image's such as 0.5; "
        "empty: the "
        "image's.",
    ),
    "class_map": Declared(
        "",
        f"Merges, renames, renumbers or ignores classes: a YAML file, or one of "
        f"{_one_of(ready_class_maps())}; empty: the model's classes.",
    ),
    "binary_masks": Declared(
        (), "Names of classes that have a mask of their own, 255 where they are: mask/<class>."
    ),
    "autostart": Declared(
        True, "Configure and activate at once; false leaves it to a lifecycle manager.", read_only=True
    ),
    "bond": Declared(
        True,
        "Without autostart: keep a bond while active, as Nav2's lifecycle manager wants (where bondpy is "
        "installed).",
    ),
    "min_interval": Declared(
        _DEFAULT.scheduler.min_interval, "MinK: frames between keyframes at least.", 1, 1000
    ),
    "max_interval": Declared(
        _DEFAULT.scheduler.max_interval, "MaxK: frames between keyframes at most.", 1, 1000
    ),
    "threshold": Declared(
        _DEFAULT.scheduler.threshold,
        "AKS score from which a frame becomes a keyframe; 0: "
        f"{', '.join(f'{value:g} for {score.value}' for score, value in THRESHOLDS.items())}.",
        0,
        10,
    ),
    "aks_score": Declared(
        _DEFAULT.scheduler.aks_score.value,
        f"What AKS compares with `threshold`: {_one_of(AksScore)}; auto is residual (what neither "
        "motion nor light explains) with alignment flow, else paper.",
    ),
    "cut_threshold": Declared(
        _DEFAULT.scheduler.cut_threshold,
        "Difference to the frame before from which it is a hard cut and becomes a keyframe at once.",
        0,
        10,
    ),
    "threshold_rule": Declared(
        _DEFAULT.scheduler.threshold_rule.value,
        f"{_one_of(ThresholdRule)}: `threshold` as it is, or times 0.5 to 4, so that "
        "the encoder works for `encoder_share` of the time.",
    ),
    "encoder_share": Declared(
        _DEFAULT.scheduler.encoder_share, "Of time at work, for threshold_rule deadline.", 0.05, 1
    ),
    "keyframe_budget_hz": Declared(
        _DEFAULT.scheduler.keyframe_budget_hz,
        "Keyframes per second of all cameras together, at most; 0: no bound.",
        0,
        1000,
    ),
    "outputs": Declared(
        OUTPUTS, f"Outputs beside the mask that may be computed, while subscribed: {_one_of(OUTPUTS)}."
    ),
    "overlay_alpha": Declared(0.5, "Weight of the class colours in the overlay.", 0, 1),
    "jpeg_quality": Declared(85, "Of the compressed overlay.", 1, 100),
    "probabilities_type": Declared(
        "8U", f"Of a class's probability: {_one_of(PROBABILITIES)}; 8U is times 255."
    ),
    "lazy": Declared(False, "Compute nothing while nobody subscribes to any output."),
    "max_rate": Declared(
        0.0, "Masks per second of a camera, at most, by its images' stamps; 0: no bound.", 0, 1000
    ),
    "min_mask_hz": Declared(
        0.0, "Diagnostics are an error where a camera has fewer masks per second; 0: no bound.", 0, 1000
    ),
    **CAMERAS,
}


for _name in _AT_CONFIGURE:
    SEGMENTER[_name] = replace(
        SEGMENTER[_name], description=f"{SEGMENTER[_name].description} Takes effect at configure."
    )


@dataclass(frozen=True)
class CameraParameters:
    """name is empty for the only camera; its topics then lie directly in the node's namespace."""

    name: str
    image_topic: str  # absolute or private, before remapping
    transport: str  # of TRANSPORTS
    info_topic: str  # the same of its camera_info


@dataclass(frozen=True)
class OutputParameters:
    """What may change at any time."""

    outputs: tuple[str, ...]
    overlay_alpha: float
    jpeg_quality: int
    probabilities_type: str
    lazy: bool
    max_rate: float


def declare_segmenter(node: Node) -> None:
    declare(node, SEGMENTER)
    declare_cameras(node)


def misspelt(given: Iterable[str]) -> list[str]:
    """Sentences on parameters that are given, are not declared, and look like others. (Files for several
    nodes have many more.)"""
    close = {name: get_close_matches(name, SEGMENTER, 1, 0.8) for name in sorted(given)}
    return [f"unknown parameter {name}: do you mean {found[0]}?" for name, found in close.items() if found]


def declare_cameras(node: Node) -> None:
    """The parameters of the cameras named in `cameras`, as far as they are not there yet."""
    try:
        names = camera_names(node.get_parameter("cameras").value)
    except ValueError:  # told when the node is configured, after which better ones can be set
        return
    for name in names:
        declare(node, _of_camera(name))


def check_values(node: Node) -> None:
    """Raise ValueError, naming value and remedy, for a value of the wrong type, with which the process was
    started."""
    for name in SEGMENTER:
        value_of(node, name)


def value_of(node: Node, name: str, changed: Mapping[str, object] | None = None) -> Value:
    """The value of a parameter of the segmenter, by its type; of one in `changed` the value about to be
    set."""
    value = changed[name] if changed and name in changed else node.get_parameter(name).value
    return typed(name, value, SEGMENTER[name])


def camera_names(value: object) -> list[str]:
    """Names of several cameras, of the parameter's value; empty for one unnamed camera. Raises ValueError for
    names that are no topic names."""
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


def declare_camera_of(node: Node, parameter: str) -> None:
    """Declare the parameters of the camera whose `parameter` is about to be set, before or together with the
    list of `cameras`."""
    camera, _, _key = parameter.rpartition(".")
    if camera.isascii() and camera.isidentifier() and parameter in _of_camera(camera):
        declare(node, _of_camera(camera))


def topic_parameter(camera: str) -> str:
    """Which parameter names a camera's image topic; camera is empty for the only one."""
    return next(iter(_of_camera(camera)))


def camera_parameters(names: list[str]) -> list[str]:
    """Which parameters say where the images of these cameras come from."""
    return [key for name in names or [""] for key in _of_camera(name)]


def read_cameras(node: Node, value: Callable[[str], object] | None = None) -> list[CameraParameters]:
    """The cameras of a segmenter, which are the node's own parameters, or by `value(name)` those of another
    node in the same namespace."""
    if value is None:
        declare_cameras(node)
        value = lambda name: node.get_parameter(name).value
    names = camera_names(value("cameras"))
    return [_camera(node, name, value) for name in names or [""]]


def read_pipeline(node: Node) -> PipelineConfig:
    return PipelineConfig(
        scheduler=read_scheduler(node),
        **{
            name: value_of(node, name)
            for name in ("mode", "alignment", "turns", "silence_s", "waiting_images", "mask_size")
        },
    )


def read_scheduler(node: Node, changed: Mapping[str, object] | None = None) -> SchedulerConfig:
    """The scheduler's settings, with values about to be set."""
    return SchedulerConfig(**{name: value_of(node, name, changed) for name in _SCHEDULER})


def read_outputs(node: Node, changed: Mapping[str, object] | None = None) -> OutputParameters:
    read = OutputParameters(
        **{field.name: value_of(node, field.name, changed) for field in fields(OutputParameters)}
    )
    if unknown := sorted(set(read.outputs) - set(OUTPUTS)):
        raise ValueError(f"unknown outputs {unknown}: use some of {list(OUTPUTS)}")
    if read.probabilities_type not in PROBABILITIES:
        raise ValueError(
            f"probabilities_type {read.probabilities_type!r}: use one of {_one_of(PROBABILITIES)}"
        )
    least = _SLOWEST / value_of(node, "silence_s", changed)
    if 0 < read.max_rate < least:
        raise ValueError(
            f"max_rate {read.max_rate:g}: images would be so far apart that each begins anew, after a "
            f"silence; use at least "
            f"{least:g}, or raise silence_s"
        )
    return read


def check_change(node: Node, parameters: list[Parameter], configured: bool) -> None:
    """Raise ValueError, naming value and remedy, if these parameters may not be set now. One that has the
    value already may.

    Before the node is configured each is judged alone, so that several wrong ones can be set right one after
    the other; what they are together is judged when it is configured.
    """
    known = [
        parameter for parameter in parameters if node.has_parameter(parameter.name)
    ]  # the others are being declared
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
        if declared := {**SEGMENTER, **_of_camera(name.rpartition(".")[0])}.get(name):
            typed(name, value, declared)
    if "cameras" in changed:
        camera_names(changed["cameras"])
    if configured:
        replace(read_pipeline(node), scheduler=read_scheduler(node, changed))
        read_outputs(node, changed)


def _same(one: Parameter, other: Parameter) -> bool:
    return one.type_ == other.type_ and one.value == other.value


def _camera(node: Node, name: str, value: Callable[[str], object]) -> CameraParameters:
    topic_key, transport_key, info_key = camera_parameters([name] if name else [])
    topic, transport, info = (typed(key, value(key), declared) for key, declared in _of_camera(name).items())
    if not topic:
        raise ValueError(f"{topic_key} is empty: name the camera's image topic")
    topic, resolved = resolved_in_robot(node, topic_key, topic)
    info = resolved_in_robot(node, info_key, info)[0] if info else info_topic(resolved)
    if transport not in IMAGE_TRANSPORTS:
        raise ValueError(f"{transport_key} {transport!r}: use one of {_one_of(IMAGE_TRANSPORTS)}")
    transport = transport_of(resolved) if transport == "auto" else transport
    TRANSPORTS[transport].message_class()  # is it installed?
    return CameraParameters(name, topic, transport, info)
