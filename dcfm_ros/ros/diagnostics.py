# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Diagnostic statuses of the segmenter: values, a level, and a message that says what is wrong and how to fix
it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from diagnostic_msgs.msg import DiagnosticStatus

from dcfm_ros.pipeline.keyframe import STALLED_S
from dcfm_ros.pipeline.telemetry import COUNTERS, CameraStatus
from dcfm_ros.ros.camera_info import InfoCounts
from dcfm_ros.ros.diagnostics_publisher import key_values
from dcfm_ros.ros.transports import TYPES

# Number of reports after an event until one has certainly counted it: the first may have been made before the
# event; the next comes a second later.
REPORTS_THAT_COUNT = 2

_SILENT_S = 2.0
_STANDS_S = 2.0  # a stamp may stand still for this long
_OK, _WARN, _ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
_NOT_CONFIGURED = (_WARN, "not configured")  # between two states
_START_S = 10.0  # startup time, in which rates are not judged: networks may have to be compiled
_MANY_RESETS = 2  # in the last seconds; a single one is a restarted camera
_MOST_TOPICS = 3  # maximum number named in a message
_LEAST_SLACK = 3  # frames beyond MaxK that an encode may take


@dataclass(frozen=True)
class NodeState:
    """State of the node that all its statuses depend on."""

    node: str  # fully qualified name, so that two robots' statuses differ
    state: str  # lifecycle state: unconfigured, inactive or active
    refusal: str = ""  # why the last configure or activate failed
    in_state_s: float = 0.0  # time since the state was reached
    min_mask_hz: float = 0.0  # of each camera; 0: no lower bound
    max_interval: int = 10  # MaxK, frames
    callback_failures: int = 0  # messages and requests that raised an error
    last_callback_failure: str = ""
    masks_wait: bool = False  # in mode two_sided masks come with the next keyframe, and are late by design
    # Texts that require a check of the machine, and are evaluated only when needed.
    other_users: Callable[[], str] = (
        str  # remedy if shared memory separates us from other users' processes; "" if there are none
    )
    room: Callable[[], str] = str  # remedy if large images get lost


@dataclass(frozen=True)
class TopicState:
    """State of a camera's image topic in the ROS graph."""

    topic: str
    type: str = "sensor_msgs/msg/Image"  # the subscription's type
    publishers: int = 0  # compatible ones
    other_types: tuple[str, ...] = ()  # of publishers with another type
    incompatible_qos: str = ""  # policy of a publisher whose QoS is incompatible
    elsewhere: tuple[str, ...] = ()  # other topics with images, if this one has no publisher
    parameter: str = "image_topic"  # that names the topic
    lost: int = 0  # images that DDS lost in transport, not included in `received`
    infos: InfoCounts = InfoCounts()
    rivals: tuple[str, ...] = ()  # other nodes that have published the same masks for a while
    overwritten: int | None = (
        None  # images overwritten by newer ones in DDS's queue, not included either; None: unknown
    )


class Trouble(NamedTuple):
    """Counts of problems with a camera's images: in total, or in the last seconds."""

    dropped: int = 0  # displaced by newer images
    lost: int = 0  # by DDS, in transport
    overwritten: int = 0  # by newer images, in DDS's queue
    refused: int = 0  # invalid
    failures: int = 0  # raised an error
    resets: int = 0  # restarted sequences
    over_budget: int = 0  # frames whose keyframe the budget held back
    unheard: int = 0  # skipped without subscribers
    infos_refused: int = 0  # calibrations that do not match the images


def trouble_of(status: CameraStatus | None, topic: TopicState) -> Trouble:
    """Return the total counts."""
    of_topic = {
        "lost": topic.lost,
        "overwritten": topic.overwritten or 0,
        "infos_refused": topic.infos.refused,
    }
    if status is None:
        return Trouble(**of_topic)
    return Trouble(
        dropped=status.dropped,
        refused=sum(status.refused.values()),
        failures=status.failures + status.publish_failures,
        resets=status.resets,
        over_budget=status.over_budget,
        unheard=status.unheard,
        **of_topic,
    )


def camera_diagnostic(
    camera: str, node: NodeState, topic: TopicState, status: CameraStatus | None, recent: Trouble = Trouble()
) -> DiagnosticStatus:
    """Return the status of a camera. camera: its name; status: None if the node is not configured; recent:
    counts of the last seconds"""
    level, text = _not_active(node) or _of_active(node, topic, status, recent)
    return DiagnosticStatus(
        level=level,
        name=f"{node.node}: {camera or 'camera'}",
        message=text,
        hardware_id=topic.topic,
        values=key_values(
            {"topic": topic.topic, "state": node.state, **(_numbers(status, topic) if status else {})}
        ),
    )


def _of_active(
    node: NodeState, topic: TopicState, status: CameraStatus | None, recent: Trouble
) -> tuple[bytes, str]:
    if status is None:
        return _NOT_CONFIGURED
    idle = _idle(status, recent)
    level, text = (
        _silent(node, topic, status)
        or idle
        or _without_masks(status)
        or _degraded(node, topic, status, recent)
        or (_OK, f"{status.mask_hz:.1f} masks/s, {status.keyframe_hz:.1f} keyframes/s")
    )
    if idle is None and node.in_state_s > _START_S and status.mask_hz < node.min_mask_hz:
        few = f"{status.mask_hz:.1f} masks/s are fewer than min_mask_hz {node.min_mask_hz:g}"
        return _ERROR, f"{text}; {few}"
    return level, text


def backend_diagnostic(node: NodeState, device: str, status: dict[str, str] | None) -> DiagnosticStatus:
    """Return the status of the inference backend. device: from the parameters; status: from
    `backends.base.status_of`, None if the node is not configured"""
    if status is None:
        level, text = _not_active(node) or _NOT_CONFIGURED
    else:
        level, text = (_WARN, status["problem"]) if status.get("problem") else (_OK, status["state"])
    return DiagnosticStatus(
        level=level,
        name=f"{node.node}: backend",
        message=text,
        hardware_id=(status or {}).get("device", device),
        values=key_values(
            {
                **(status or {}),
                "callback_failures": str(node.callback_failures),
                "last_callback_failure": node.last_callback_failure,
            }
        ),
    )


def _not_active(node: NodeState) -> tuple[bytes, str] | None:
    transition = {"unconfigured": "configure", "inactive": "activate"}.get(node.state)
    if transition is None:
        return None if node.state == "active" else (_WARN, f"{node.state}: no masks")
    if node.refusal:
        return _ERROR, node.refusal
    return (
        _WARN,
        f"{node.state}: no masks until `ros2 lifecycle set {node.node} {transition}`, or a lifecycle manager "
        f"does that",
    )


def _silent(node: NodeState, topic: TopicState, status: CameraStatus) -> tuple[bytes, str] | None:
    """Return why no images arrive, or None if they do."""
    if topic.publishers == 0 and topic.other_types:
        other, wanted = topic.other_types[0], topic.type
        remedy = f"set {topic.parameter} to the camera's"
        if other in TYPES:
            remedy = f"set {topic.parameter.replace('topic', 'transport')} to {TYPES[other].name}"
        return _ERROR, f"{topic.topic} is published as {_short(other)}, not as {_short(wanted)}: {remedy}"
    if topic.publishers == 0 and topic.incompatible_qos:
        return _ERROR, (
            f"{topic.topic} is published with an incompatible QoS ({topic.incompatible_qos}): change the "
            f"override qos_overrides.{topic.topic}.subscription"
        )
    if topic.publishers == 0:
        elsewhere = (
            f"; there are images on {', '.join(topic.elsewhere[:_MOST_TOPICS])}" if topic.elsewhere else ""
        )
        return _WARN, f"no publisher on {topic.topic}: start the camera, or set {topic.parameter}{elsewhere}"
    if status.received == 0:
        reason = node.other_users() or (
            "it may not have begun; if `ros2 topic hz` counts images, they are of another container "
            f"(docs/deployment.md), or too large for DDS: {node.room()}"
        )
        return _WARN, f"no image yet on {topic.topic}, although it has a publisher: {reason}"
    silent_s = min(status.silent_s, node.in_state_s)  # without the time before the node was active
    if silent_s > _SILENT_S:
        reason = f": {users}" if (users := node.other_users()) else ""
        return _WARN, f"no image for {silent_s:.0f} s on {topic.topic}{reason}"
    return None


def _idle(status: CameraStatus, recent: Trouble) -> tuple[bytes, str] | None:
    """Return a status if there are no masks for lack of subscribers, otherwise None."""
    if not recent.unheard or status.mask_hz > 0.0:
        return None
    return _OK, f"idle: nobody subscribes to any output ({status.input_hz:.1f} images/s, lazy)"


def _short(kind: str) -> str:
    """Shorten sensor_msgs/msg/Image to Image; types of other packages stay in full, as names may coincide."""
    return kind.removeprefix("sensor_msgs/msg/")


def _without_masks(status: CameraStatus) -> tuple[bytes, str] | None:
    """Return why images yield no masks, or only masks from an old feature; None if all is well."""
    if status.encoding_s > STALLED_S:
        return _ERROR, (
            f"the deep path has not returned for {status.encoding_s:.0f} s: no keyframes of any camera, and "
            "masks, if any, use old features; restart the node, and choose another backend or device if it "
            "happens again"
        )
    if status.mask_hz == 0.0 and status.refused:
        return _ERROR, f"images refused: {status.last_error}"
    if not status.has_feature:
        reason = f" ({status.last_error})" if status.encode_failures else ""
        return _WARN, f"waiting for first keyframe{reason}"
    if status.last_error and status.mask_hz == 0.0:
        return _ERROR, status.last_error
    if status.keyframe_hz == 0.0 and status.encode_failures:
        return _ERROR, f"masks continue with an old feature: {status.last_error}"
    return None


def _degraded(
    node: NodeState, topic: TopicState, status: CameraStatus, recent: Trouble
) -> tuple[bytes, str] | None:
    """Return what is wrong although masks are made, or None."""
    rate, period_ms = f"{status.mask_hz:.1f} masks/s", 1e3 / max(status.input_hz, 1e-3)
    if topic.rivals:
        return _WARN, (
            f"{rate}, but {', '.join(topic.rivals)} publishes masks on the same topic: end one of the two, "
            "or give it another namespace (namespace:=NAME)"
        )
    if recent.lost:
        return _WARN, f"{rate}, {recent.lost} images lost in transport: {node.room()}"
    if recent.overwritten:
        return _WARN, (
            f"{rate}, {recent.overwritten} images overwritten before the node took them: something blocks "
            "the whole process for longer than DDS's queue lasts (docs/live.md)"
        )
    if recent.dropped:
        return _WARN, (
            f"{rate} of {status.input_hz:.1f} images/s, {recent.dropped} dropped: too much for this machine; "
            "lower the camera's rate or size, or what else runs"
        )
    if recent.refused or recent.failures:
        return _WARN, (
            f"{rate} of {status.input_hz:.1f} images/s, {recent.refused} refused, {recent.failures} failed; "
            f"the last error: {status.last_error}"
        )
    if recent.infos_refused:
        return _WARN, f"{rate}, but no camera_info for them: {topic.infos.last_error}"
    if recent.resets >= _MANY_RESETS:
        return _WARN, (
            f"{rate}, {recent.resets} restarts of the sequence: images change their size, their stamps jump, "
            f"or two cameras publish {topic.topic}"
        )
    if status.stamp_stands_s > _STANDS_S:
        return _WARN, (
            f"{rate}, but the camera has no clock: its stamps have stood still for "
            f"{status.stamp_stands_s:.0f} s, and the time of arrival is used; let the driver fill "
            "header.stamp (with use_sim_time it needs a running /clock)"
        )
    if not node.masks_wait and status.latency_p50_ms > period_ms:
        return _WARN, (
            f"{rate}, latency {status.latency_p50_ms:.0f} ms (p99 {status.latency_p99_ms:.0f}) is more than "
            f"the {period_ms:.0f} ms from image to image: lower the camera's rate or size"
        )
    if status.feature_age_frames > node.max_interval + max(node.max_interval, _LEAST_SLACK):
        reason = (
            "raise keyframe_budget_hz"
            if recent.over_budget
            else "the encoder does not keep up: lower the camera's rate"
        )
        return (
            _WARN,
            f"{rate}, common feature is {status.feature_age_frames} frames old, max_interval is "
            f"{node.max_interval}: {reason}",
        )
    return None


def _numbers(status: CameraStatus, topic: TopicState) -> dict[str, str]:
    return {
        "size": "" if status.size is None else f"{status.size[1]}x{status.size[0]}",
        "input_hz": f"{status.input_hz:.1f}",
        "mask_hz": f"{status.mask_hz:.1f}",
        "keyframe_hz": f"{status.keyframe_hz:.2f}",
        "latency_p50_ms": f"{status.latency_p50_ms:.1f}",
        "latency_p99_ms": f"{status.latency_p99_ms:.1f}",
        "motion_p50_ms": f"{status.motion_p50_ms:.2f}",
        "encode_p50_ms": f"{status.encode_p50_ms:.1f}",
        "queue_p50_ms": f"{status.queue_p50_ms:.1f}",
        "convert_p50_ms": f"{status.convert_p50_ms:.2f}",
        "publish_p50_ms": f"{status.publish_p50_ms:.2f}",
        "threshold": f"{status.threshold:.3f}",
        "feature_age_frames": str(status.feature_age_frames),
        "stamp_stands_s": f"{status.stamp_stands_s:.1f}",
        "encoding_s": f"{status.encoding_s:.1f}",
        "last_error": status.last_error,
        "lost": str(topic.lost),
        "overwritten": "" if topic.overwritten is None else str(topic.overwritten),
        "camera_info_topic": topic.infos.topic,
        "camera_infos": str(topic.infos.paired),
        "camera_infos_refused": str(topic.infos.refused),
        **{counter: str(getattr(status, counter)) for counter in COUNTERS},
        **{f"refused_{kind}": str(count) for kind, count in sorted(status.refused.items())},
    }
