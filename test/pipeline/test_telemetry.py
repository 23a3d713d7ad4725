# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is kept of one camera."""
import pytest
from pipeline_helpers import PERIOD_NS, SIZE, frame, picture

from dcfm_ros.pipeline.camera import CameraState
from dcfm_ros.pipeline.encoder import Encoded, KeyframeRequest
from dcfm_ros.pipeline.frames import InputError, Reason
from dcfm_ros.pipeline.settings import PipelineConfig, SchedulerConfig

SECOND = 1_000_000_000


@pytest.fixture
def camera():
    return CameraState("front", PipelineConfig(scheduler=SchedulerConfig(max_interval=5)), SIZE)


def process(camera, tag, **fields):
    """What the segmenter does with a frame up to its keyframe, which begins at once; the request, if there is one."""
    image = frame(tag, camera="front", **fields)
    index = camera.adopt(image)
    decision = camera.decide(picture(tag))
    if decision.reason is None:
        return None
    request = KeyframeRequest(image, camera.epoch, index, picture(tag), tag, decision.reason, decision.score, 1.0)
    camera.begun(request)
    return request


def encoded(request, feature="feature"):
    return Encoded(request, feature, queue_ms=1.0, encode_ms=20.0)


def test_first_frame_needs_no_reset(camera):
    assert not camera.needs_reset(frame(0, stamp_ns=10 ** 18))


@pytest.mark.parametrize("change, wanted", [
    (dict(stamp_ns=10 * SECOND), False),                      # the same time again
    (dict(stamp_ns=10 * SECOND + PERIOD_NS), False),
    (dict(stamp_ns=12 * SECOND), False),                      # silence_s is still continuous
    (dict(stamp_ns=12 * SECOND + 1000), True),
    (dict(stamp_ns=10 * SECOND - 1), True),
    (dict(stamp_ns=0), True),
    (dict(stamp_ns=10 * SECOND, size=(96, 64)), True),
])
def test_what_breaks_a_sequence(camera, change, wanted):
    camera.adopt(frame(0, stamp_ns=10 * SECOND))
    assert camera.needs_reset(frame(1, **change)) is wanted


def test_frames_are_numbered_and_sizes_follow_the_camera(camera):
    assert [camera.adopt(frame(tag)) for tag in range(3)] == [0, 1, 2]
    assert camera.network_size == SIZE
    assert camera.adopt(frame(3, size=(128, 192))) == 3
    assert camera.camera_size == (128, 192) and camera.network_size == SIZE
    camera.adopt(frame(4, size=(192, 128)))
    assert camera.network_size == SIZE[::-1]


def test_accepted_keyframe_is_the_common_feature(camera):
    first = process(camera, 0)
    assert camera.accept(encoded(first)) == 0
    assert (camera.common.feature, camera.common.index, camera.common.stamp_ns) == ("feature", 0, 0)
    requests = [process(camera, tag) for tag in range(1, 6)]
    assert requests[:-1] == [None] * 4
    assert camera.accept(encoded(requests[-1])) == 5
    assert camera.common.index == 5 and camera.common.stamp_ns == 5 * PERIOD_NS


def test_result_from_before_a_reset_is_discarded(camera):
    stale = process(camera, 0)
    camera.reset(Reason.RESET)
    assert camera.accept(encoded(stale)) is None
    assert camera.common is None and camera.counts["keyframes"] == 0
    fresh = process(camera, 1)
    assert fresh.reason is Reason.RESET
    assert camera.accept(encoded(stale)) is None
    assert camera.accept(encoded(fresh, "new")) == 0
    assert camera.common.feature == "new"


def test_failure_from_before_a_reset_does_not_touch_the_new_sequence(camera):
    camera.accept(encoded(process(camera, 0)))
    camera.reset(Reason.RESET)
    fresh = process(camera, 1)
    camera.encode_failed(fresh.index, fresh.epoch - 1, RuntimeError("late"))
    assert process(camera, 2) is None  # the keyframe of frame 1 still counts
    assert camera.counts["encode_failures"] == 1


def test_failed_keyframe_is_tried_again(camera):
    camera.accept(encoded(process(camera, 0)))
    for tag in range(1, 5):
        assert process(camera, tag) is None
    for tag in (5, 6):
        request = process(camera, tag)
        assert request.reason is Reason.INTERVAL
        camera.encode_failed(request.index, request.epoch, RuntimeError("out of memory"))
    status = camera.status()
    assert status.encode_failures == 2 and "out of memory" in status.last_error and status.has_feature
    assert status.feature_age_frames == 6


def test_status_before_the_first_image(camera):
    status = camera.status()
    assert status.camera == "front" and status.size is None and not status.has_feature
    assert status.silent_s == -1.0 and status.received == 0 and status.input_hz == 0.0 and status.last_error == ""


def test_status_counts(camera):
    for _ in range(4):
        camera.arrived(1)
    camera.dropped()
    camera.dropped()
    for kind in ("encoding", "encoding", "size"):
        camera.failed(InputError(kind, f"bad {kind}"), kind)
    camera.failed(ZeroDivisionError(), None)
    camera.accept(encoded(process(camera, 0)))
    status = camera.status()
    assert status.received == 4 and status.dropped == 2 and status.failures == 1
    assert status.refused == {"encoding": 2, "size": 1}
    assert status.last_error == "ZeroDivisionError"
    assert status.size == SIZE and status.keyframes == 1 and status.encode_p50_ms == 20.0 and status.silent_s > 0
    camera.failed(InputError("size", "bad size"), "size")
    assert status.refused["size"] == 1  # a snapshot


def test_frames_beyond_max_interval_and_held_back_ones_are_counted(camera):
    camera.accept(encoded(process(camera, 0)))
    for tag in range(1, 9):
        camera.adopt(frame(tag))
        if camera.decide(picture(tag), relief=1.5).reason is not None:
            camera.held_back()
    status = camera.status()
    assert status.overdue == 3 and status.over_budget == 4   # MaxK is 5: due from frame 5, beyond from frame 6
    assert status.threshold == pytest.approx(1.5 * SchedulerConfig().threshold)


def test_a_keyframe_that_begins_after_a_reset_is_not_the_new_sequences(camera):
    stale = process(camera, 0)
    camera.reset(Reason.RESET)
    camera.begun(stale)
    camera.adopt(frame(1))
    assert camera.decide(picture(1)).reason is Reason.RESET


def test_drops_are_handed_out_once(camera):
    assert camera.take_dropped() == 0
    camera.dropped()
    camera.dropped()
    assert camera.take_dropped() == 2 and camera.take_dropped() == 0
    assert camera.status().dropped == 2


@pytest.mark.parametrize("values, message", [
    (dict(mode="batch"), "mode 'batch': use one of async, sync, two_sided"),
    (dict(mode="sync", scheduler=SchedulerConfig(threshold_rule="deadline")),
     "threshold_rule deadline in mode sync: .*use mode async, or threshold_rule fixed"),
    (dict(silence_s=0.0), "silence_s 0.0: use 0.1 to 3600"),
    (dict(silence_s=float("nan")), "silence_s nan"),
])
def test_settings_that_cannot_work_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        PipelineConfig(**values)
