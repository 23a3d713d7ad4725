"""From a camera's status to `/diagnostics`: numbers, and in words the reason when something is missing."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from dcfm_ros.pipeline.camera import CameraStatus

# After an event, until one has counted it for certain: the first may have been made before; the next is a second later.
REPORTS_THAT_COUNT = 2

_SILENT_S = 2.0


def camera_diagnostic(status: CameraStatus, topic: str, publishers: int, incompatible_qos: str, node: str,
                      lost: int = 0) -> DiagnosticStatus:
    """lost: images that DDS lost on the way to the node, which are not among `received`."""
    level, text = _judgement(status, topic, publishers, incompatible_qos)
    values = {
        "topic": topic, "size": "" if status.size is None else f"{status.size[1]}x{status.size[0]}",
        "input_hz": f"{status.input_hz:.1f}", "mask_hz": f"{status.mask_hz:.1f}", "keyframe_hz": f"{status.keyframe_hz:.2f}",
        "latency_p50_ms": f"{status.latency_p50_ms:.1f}", "latency_p99_ms": f"{status.latency_p99_ms:.1f}",
        "encode_p50_ms": f"{status.encode_p50_ms:.1f}", "queue_p50_ms": f"{status.queue_p50_ms:.1f}",
        "convert_p50_ms": f"{status.convert_p50_ms:.2f}", "publish_p50_ms": f"{status.publish_p50_ms:.2f}",
        "threshold": f"{status.threshold:.3f}", "overdue": str(status.overdue), "over_budget": str(status.over_budget),
        "feature_age_frames": str(status.feature_age_frames),
        "lost": str(lost), "received": str(status.received), "masks": str(status.masks), "dropped": str(status.dropped),
        "keyframes": str(status.keyframes), "encode_failures": str(status.encode_failures),
        "failures": str(status.failures), "resets": str(status.resets), "last_error": status.last_error,
        **{f"refused_{kind}": str(count) for kind, count in sorted(status.refused.items())},
    }
    return DiagnosticStatus(
        level=level, name=f"{node}: {status.camera or 'camera'}", message=text, hardware_id=topic,
        values=[KeyValue(key=key, value=value) for key, value in values.items()])


def idle_diagnostic(node: str, refusal: str) -> DiagnosticStatus:
    """Of a node that is not configured; `refusal` is why, if it could not be."""
    return DiagnosticStatus(
        level=DiagnosticStatus.ERROR if refusal else DiagnosticStatus.WARN, name=node, message=refusal or "not configured")


def backend_diagnostic(status: dict[str, str], node: str) -> DiagnosticStatus:
    """Of what runs the networks; status: of `backends.base.status_of`."""
    problem = status.get("problem", "")
    return DiagnosticStatus(
        level=DiagnosticStatus.WARN if problem else DiagnosticStatus.OK, name=f"{node}: backend",
        message=problem or status["state"], hardware_id=status["device"],
        values=[KeyValue(key=key, value=value) for key, value in status.items()])


def _judgement(status: CameraStatus, topic: str, publishers: int, incompatible_qos: str) -> tuple[bytes, str]:
    if incompatible_qos and status.received == 0:
        return DiagnosticStatus.ERROR, incompatible_qos
    if publishers == 0:
        return DiagnosticStatus.WARN, f"no publisher on {topic}"
    if status.received == 0:
        return DiagnosticStatus.WARN, f"no image yet on {topic}"
    if status.silent_s > _SILENT_S:
        return DiagnosticStatus.WARN, f"no image for {status.silent_s:.0f} s on {topic}"
    if status.mask_hz == 0.0 and status.refused:
        return DiagnosticStatus.ERROR, f"images refused: {status.last_error}"
    if not status.has_feature:
        reason = f" ({status.last_error})" if status.encode_failures else ""
        return DiagnosticStatus.WARN, f"waiting for first keyframe{reason}"
    if status.last_error and status.mask_hz == 0.0:
        return DiagnosticStatus.ERROR, status.last_error
    if status.keyframe_hz == 0.0 and status.encode_failures:
        return DiagnosticStatus.ERROR, f"masks go on with an old feature: {status.last_error}"
    return DiagnosticStatus.OK, f"{status.mask_hz:.1f} masks/s, {status.keyframe_hz:.1f} keyframes/s"
