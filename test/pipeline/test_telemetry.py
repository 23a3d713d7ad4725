# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Counters of one camera."""

from pipeline_helpers import SIZE

from dcfm_ros.pipeline.frames import EncodeError, InputError
from dcfm_ros.pipeline.telemetry import CameraTelemetry


def test_before_the_first_image():
    status = CameraTelemetry("front", 0.32).status()
    assert (
        status.camera == "front"
        and status.size is None
        and not status.has_feature
        and status.threshold == 0.32
    )
    assert (
        status.silent_s == -1.0
        and status.received == 0
        and status.input_hz == 0.0
        and status.last_error == ""
    )


def test_a_status_is_a_snapshot_of_what_was_counted():
    camera = CameraTelemetry("front", 0.32)
    for _ in range(4):
        camera.arrived(1)
    for error in (
        InputError("encoding", "bad encoding"),
        InputError("encoding", "x"),
        InputError("size", "bad"),
        ZeroDivisionError(),
    ):
        camera.failed(error)
    camera.encoded(queue_ms=1.0, encode_ms=20.0)
    camera.masked(1, latency_ms=7.0)
    camera.count("overdue")
    camera.note(size=SIZE, has_feature=True, feature_age_frames=3)
    status = camera.status(encoding_s=2.0)
    assert (status.received, status.failures, status.keyframes, status.masks, status.overdue) == (
        4,
        1,
        1,
        1,
        1,
    )
    assert status.refused == {"encoding": 2, "size": 1} and status.last_error == "ZeroDivisionError"
    assert (status.size, status.has_feature, status.feature_age_frames, status.encoding_s) == (
        SIZE,
        True,
        3,
        2.0,
    )
    assert (status.queue_p50_ms, status.encode_p50_ms, status.latency_p99_ms) == (
        1.0,
        20.0,
        7.0,
    ) and status.silent_s > 0
    camera.failed(EncodeError("keyframe encoder", RuntimeError("out of memory")))
    assert (
        status.encode_failures == 0 and camera.status().encode_failures == 1 and camera.status().failures == 1
    )
    assert camera.status().last_error == "keyframe encoder: out of memory"


def test_drops_are_handed_out_once():
    camera = CameraTelemetry("front", 0.32)
    assert camera.take_dropped() == 0
    camera.dropped()
    camera.dropped()
    assert camera.take_dropped() == 2 and camera.take_dropped() == 0
    assert camera.status().dropped == 2
