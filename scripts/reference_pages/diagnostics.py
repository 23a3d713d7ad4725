# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Values in the statuses on /diagnostics. The keys of a camera's and of the backend's come from the code that
makes the statuses, their meanings from the tables here: one without the other is an error."""

from dataclasses import fields
from types import SimpleNamespace

from dcfm_ros.pipeline.backends.base import status_of
from dcfm_ros.pipeline.telemetry import CameraStatus
from dcfm_ros.ros.diagnostics import NodeState, TopicState, backend_diagnostic, camera_diagnostic
from reference_pages.markdown import code, table

_CAMERA = {
    "topic": "image topic",
    "state": "lifecycle state of the node",
    "size": "width x height of the newest image",
    "input_hz": "images per second, over the last 5 s",
    "mask_hz": "masks per second, over the last 5 s",
    "keyframe_hz": "keyframes per second, over the last 5 s",
    "latency_p50_ms": "image received to mask published, median of the last 300",
    "latency_p99_ms": "the same, 99th percentile",
    "motion_p50_ms": "time for the motion from frame to frame",
    "encode_p50_ms": "of keyframes, time in the deep network",
    "queue_p50_ms": "of keyframes, waiting for the encoder",
    "convert_p50_ms": "of the latency, from message to image",
    "publish_p50_ms": "of the latency, from a result to messages",
    "threshold": "AKS score from which a frame becomes a keyframe now ([method](../method.md#keyframe-scheduling))",
    "feature_age_frames": "age of the common feature in use",
    "stamp_stands_s": "for how long the images' stamps have stood still; 0: they go on",
    "encoding_s": "for how long the deep network has been at a keyframe, of whichever camera; 0: it is not",
    "last_error": "the last error's sentence",
    "lost": "images so far that never arrived: lost by DDS on the way",
    "overwritten": "images so far that newer ones overwrote in DDS's queue (Fast DDS, one publisher on the topic; "
    "else empty or too few)",
    "camera_info_topic": "where the camera's calibration is looked for",
    "camera_infos": "calibrations published beside a mask while somebody subscribed",
    "camera_infos_refused": "calibrations of another size than their image, and bytes that are none",
    "received": "images that arrived. Each is in progress, or counted by one of the keys marked †",
    "masks": "† images that got a mask",
    "dropped": "† pushed out by newer ones before their turn: too much for this machine",
    "unheard": "† nobody subscribed (`lazy`)",
    "over_rate": "† more than `max_rate`",
    "discarded": "† the node was deactivated first",
    "without_feature": "† no common feature yet",
    "refused_<kind>": "† cannot be used; one key for each kind ([pictures](../live.md#pictures))",
    "failures": "† with an error",
    "publish_failures": "masks and keyframes that could not be published",
    "unaligned": "masks of an older common feature that did not move along, since the motion is not known or explains "
    "nothing ([method](../method.md#alignment))",
    "keyframes": "keyframes so far",
    "encode_failures": "keyframes whose deep network failed",
    "slow_encodes": "keyframes for which the deep network took longer than 10 s",
    "overdue": "frames beyond `max_interval`",
    "over_budget": "frames whose keyframe the budget held back",
    "resets": "sequences that began anew: another size, stamps that jump back, silence",
}
_BACKEND = {
    "backend": "its name",
    "device": "`cpu` or `cuda:N`",
    "precision": "of the networks' arithmetic",
    "state": "what it is doing, in words; with TensorRT the progress of an engine build",
    "callback_failures": "messages and requests to the node that raised an error, such as a parameter of a type that "
    "does not exist; the node goes on",
    "last_callback_failure": "the last of these errors",
}
_POINTS = {
    "masks, geometry": "messages that came",
    "published": "clouds published",
    "without_mask": "geometry for which no mask came",
    "without_geometry": "masks that were not needed",
    "without_confidence": "masks whose confidence did not come",
    "refused_<kind>": "what was refused, by [kind](../points.md#what-it-refuses)",
    "last_error": "the last error's sentence",
}
_VIEWER = {
    "shown": "frames shown",
    "mask_alone": "masks shown without image or figures, which did not come",
    "image_alone": "images not shown, since no mask came",
    "undecodable": "images and masks that could not be decoded",
    "errors": "errors of the viewer",
    "left_out": "frames left out since the viewer could not keep up",
}


def page() -> str:
    keys = [pair.key for pair in _camera_status().values]
    return f"""# Diagnostics

Which values the nodes publish on `/diagnostics`, once a second. What the *messages* of the statuses mean, and what to do, is told in
[on a robot](../operation.md#diagnostics).

## Cameras of the segmenter

A status for each camera, `/dcfm/segmenter: camera` (of several cameras their names), in every lifecycle state; most values
are there only while the node is configured. Counts begin at 0 when it is configured.

{_rows(_CAMERA, keys)}
## Inference backend

One status, `/dcfm/segmenter: backend`. Some backends add values of their own.

{_rows(_BACKEND, [pair.key for pair in _backend_status().values])}
## Points

One status, `/dcfm/points`.

{_rows(_POINTS, list(_POINTS))}
## Viewer

One status, `/dcfm/viewer`.

{_rows(_VIEWER, list(_VIEWER))}"""


def _camera_status():
    """A status with all values, of a camera of which nothing is known."""
    known = {field.name: 0 for field in fields(CameraStatus)}
    known |= {"camera": "", "size": None, "last_error": "", "refused": {"<kind>": 0}}
    return camera_diagnostic("", NodeState("/n", "inactive"), TopicState("/t"), CameraStatus(**known))


def _backend_status():
    """The backend's status, with the values that every backend has."""
    return backend_diagnostic(
        NodeState("/n", "active"), "", status_of(SimpleNamespace(name="", device="", precision=""))
    )


def _rows(meanings: dict[str, str], keys: list[str]) -> str:
    if unknown := {*keys} ^ {*meanings}:
        raise ValueError(f"scripts/reference_pages/diagnostics.py and the code differ in {sorted(unknown)}")
    return table(("value", "meaning"), [(code(key), meanings[key]) for key in keys])
