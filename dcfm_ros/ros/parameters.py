"""The segmenter's parameters: declared from the pipeline's own defaults, read into validated configurations."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path

import yaml
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from dcfm_ros.pipeline.backends import BACKENDS, PRECISIONS
from dcfm_ros.pipeline.frames import Mode, PipelineConfig, SchedulerConfig, TurnTaking

OUTPUTS = ("mask_info", "confidence", "overlay", "overlay_compressed", "mask_compressed")
_DEFAULT = PipelineConfig()
_SCHEDULER = tuple(field.name for field in fields(SchedulerConfig))
_AT_CONFIGURE = (
    "model", "backend", "device", "precision", "turns", "mode", "silence_s", "waiting_images", "image_topic", "compressed",
    "cameras")
_COMPRESSED = ("auto", "yes", "no")


@dataclass(frozen=True)
class CameraParameters:
    """name is empty for the only camera; its topics then lie directly in the node's namespace."""

    name: str
    image_topic: str
    compressed: bool


@dataclass(frozen=True)
class OutputParameters:
    """What may change at any time."""

    outputs: tuple[str, ...]
    overlay_alpha: float
    jpeg_quality: int


def declare(node: Node) -> None:
    def add(name, default, description, read_only=False, low=None, high=None):
        descriptor = ParameterDescriptor(description=description, read_only=read_only)
        if isinstance(default, float):
            descriptor.floating_point_range = [FloatingPointRange(from_value=float(low), to_value=float(high))] if high else []
        elif isinstance(default, int) and high is not None:
            descriptor.integer_range = [IntegerRange(from_value=low, to_value=high, step=1)]
        node.declare_parameter(name, default, descriptor)

    add("model", "street11_b0", "Built-in model name, or a folder with model.yaml and weights.safetensors.")
    add("backend", "auto", f"What runs the networks: {', '.join(BACKENDS)}.")
    add("device", "auto", "auto, cpu or cuda.")
    add("precision", "auto", f"Of the networks' arithmetic: {', '.join(PRECISIONS)}; auto is the processor's own.")
    add("turns", _DEFAULT.turns.value,
        f"How deep path and frames share the processor: {', '.join(t.value for t in TurnTaking)}.")
    add("mode", _DEFAULT.mode.value, f"When a keyframe's deep result is used: {', '.join(m.value for m in Mode)}.")
    add("silence_s", _DEFAULT.silence_s, "A camera silent for longer starts anew, in seconds of image stamps.", low=0.1,
        high=3600)
    add("waiting_images", _DEFAULT.waiting_images, "Images of a camera that may wait; beyond these the oldest is dropped.",
        low=1, high=100)
    add("autostart", True, "Configure and activate at once; false leaves it to a lifecycle manager.", read_only=True)
    add("min_interval", _DEFAULT.scheduler.min_interval, "MinK: frames between keyframes at least.", low=1, high=1000)
    add("max_interval", _DEFAULT.scheduler.max_interval, "MaxK: frames between keyframes at most.", low=1, high=1000)
    add("threshold", _DEFAULT.scheduler.threshold, "AKS score from which a frame becomes a keyframe.", low=0, high=10)
    add("cut_threshold", _DEFAULT.scheduler.cut_threshold,
        "Difference to the frame before from which it is a hard cut and becomes a keyframe at once.", low=0, high=10)
    add("threshold_rule", _DEFAULT.scheduler.threshold_rule.value,
        "fixed: `threshold` as it is; deadline: times 0.5 to 4, so that the encoder works for `encoder_share` of the time.")
    add("encoder_share", _DEFAULT.scheduler.encoder_share, "Of time at work, for threshold_rule deadline.", low=0.05, high=1)
    add("keyframe_budget_hz", _DEFAULT.scheduler.keyframe_budget_hz,
        "Keyframes per second of all cameras together, at most; 0: no bound.", low=0, high=1000)
    node.declare_parameter("outputs", list(OUTPUTS), ParameterDescriptor(
        description=f"Outputs beside the mask that may be computed, while subscribed: {', '.join(OUTPUTS)}."))
    add("overlay_alpha", 0.5, "Weight of the class colours in the overlay.", low=0, high=1)
    add("jpeg_quality", 85, "Of the compressed overlay.", low=1, high=100)
    declare_topics(node)


def declare_topics(node: Node) -> None:
    """Which cameras there are and where their images come from; read by `read_cameras`."""
    for name, default, text in (
            ("image_topic", "/camera/image_raw", "Image topic of the camera; for several see `cameras`."),
            ("compressed", "auto", "Is the topic a CompressedImage: yes, no, or auto (its name ends in /compressed)."),
            # An empty list would be declared as a list of bytes, so one empty name stands for the one unnamed camera.
            ("cameras", [""], "Names of several cameras; each has <name>.image_topic and <name>.compressed.")):
        node.declare_parameter(name, default, ParameterDescriptor(description=text))
    declare_cameras(node)


def declare_cameras(node: Node) -> None:
    """The parameters of the cameras named in `cameras`, as far as they are not there yet."""
    try:
        names = camera_names(node)
    except ValueError:  # told when the node is configured, after which better ones can be set
        return
    for name in names:
        for key, default, text in (("image_topic", f"/{name}/image_raw", f"Image topic of camera {name}."),
                                   ("compressed", "auto", f"Is the topic of {name} a CompressedImage: yes, no or auto.")):
            if not node.has_parameter(f"{name}.{key}"):
                node.declare_parameter(f"{name}.{key}", default, ParameterDescriptor(description=text))


def settings_of(node: str, file: str | Path) -> dict:
    """What a parameters file says of the node of this full name, for another node that is to know the same; {}: nothing."""
    named = (yaml.safe_load(Path(file).read_text()) or {}).get(node) or {}
    return named.get("ros__parameters") or {}


def camera_names(node: Node) -> list[str]:
    """Names of several cameras; empty for one unnamed camera. Raises ValueError for names that are no topic names."""
    names = [name for name in node.get_parameter("cameras").value if name]
    for name in names:
        if not name.isidentifier():
            raise ValueError(f"camera name {name!r}: use letters, digits and _, not starting with a digit")
    if len(set(names)) != len(names):
        raise ValueError(f"camera names repeat in {names}: make them unique")
    return names


def read_pipeline(node: Node) -> PipelineConfig:
    value = lambda name: node.get_parameter(name).value  # noqa: E731
    return PipelineConfig(
        mode=value("mode"), turns=value("turns"), silence_s=value("silence_s"), waiting_images=value("waiting_images"),
        scheduler=read_scheduler(node))


def read_scheduler(node: Node, changed: dict[str, object] | None = None) -> SchedulerConfig:
    """The scheduler's settings, with values about to be set."""
    changed = changed or {}
    return SchedulerConfig(**{name: changed.get(name, node.get_parameter(name).value) for name in _SCHEDULER})


def read_outputs(node: Node, changed: dict[str, object] | None = None) -> OutputParameters:
    changed = changed or {}
    value = lambda name: changed.get(name, node.get_parameter(name).value)  # noqa: E731
    outputs = tuple(value("outputs"))
    if unknown := sorted(set(outputs) - set(OUTPUTS)):
        raise ValueError(f"unknown outputs {unknown}: use some of {list(OUTPUTS)}")
    return OutputParameters(outputs, value("overlay_alpha"), value("jpeg_quality"))


def read_cameras(node: Node) -> list[CameraParameters]:
    declare_cameras(node)
    names = camera_names(node)
    if not names:
        return [_camera(node, "", "")]
    return [_camera(node, name, f"{name}.") for name in names]


def check_change(node: Node, parameters: list[Parameter], configured: bool) -> None:
    """Raise ValueError, naming value and remedy, if these parameters may not be set now."""
    changed = {parameter.name: parameter.value for parameter in parameters}
    fixed = [name for name in changed if name.split(".")[-1] in _AT_CONFIGURE and not name.startswith("qos_overrides")]
    if configured and fixed:
        raise ValueError(f"{fixed[0]} takes effect when the node is configured: deactivate and clean up first")
    for parameter in parameters:
        if parameter.type_ == Parameter.Type.NOT_SET:
            raise ValueError(f"{parameter.name} cannot be deleted: set it to another value")
    if any(name in changed for name in _SCHEDULER):
        scheduler = read_scheduler(node, changed)
        if configured:  # before that, the mode may still change
            replace(read_pipeline(node), scheduler=scheduler)
    if any(name in changed for name in ("outputs", "overlay_alpha", "jpeg_quality")):
        read_outputs(node, changed)


def _camera(node: Node, name: str, prefix: str) -> CameraParameters:
    topic, compressed = (node.get_parameter(prefix + key).value for key in ("image_topic", "compressed"))
    if not topic:
        raise ValueError(f"{prefix}image_topic is empty: name the camera's image topic")
    try:
        node.resolve_topic_name(topic)
    except Exception as error:  # rclpy has several
        raise ValueError(f"{prefix}image_topic {topic!r} is not a topic name: use letters, digits, _ and /") from error
    if compressed not in _COMPRESSED:
        raise ValueError(f"{prefix}compressed {compressed!r}: use one of {', '.join(_COMPRESSED)}")
    return CameraParameters(name, topic, topic.endswith("/compressed") if compressed == "auto" else compressed == "yes")
