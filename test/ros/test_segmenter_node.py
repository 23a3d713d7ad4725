# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The segmenter in a process of its own, images and masks over DDS."""

import numpy as np
import pytest
from ros_helpers import Camera, check_mask, pixels
from std_srvs.srv import Trigger

CLASSES = 4


def test_every_image_gets_one_mask_of_its_own(camera):
    variants = [
        dict(encoding="bgr8"),
        dict(encoding="rgb8"),
        dict(encoding="mono8"),
        dict(encoding="bgr8", padding=13),
        dict(encoding="rgba8"),
        dict(encoding="mono16", padding=1),
        dict(encoding="yuv422_yuy2"),
    ]
    sent = []
    for number in range(21):
        sent.append(camera.send(seed=number, **variants[number % len(variants)]))
        mask, info = camera.answer(sent[-1])
        check_mask(mask, sent[-1], 96, 64, CLASSES)
        assert info.header == sent[-1].header
        assert info.sequence == number + 1
        assert info.mode == "async" and info.camera == "" and info.dropped_since_last == 0
        assert info.is_keyframe == (number == 0)
        assert info.feature_stamp == sent[0].header.stamp
        assert info.feature_age_frames == number
        assert info.feature_age_s == pytest.approx(0.04 * number, abs=1e-6)
        assert info.preprocess_s >= 0 and info.shallow_s > 0 and info.postprocess_s > 0
        assert 30 > info.latency_s >= info.preprocess_s + info.shallow_s + info.postprocess_s - 1e-5
    assert [m.header for m in camera.masks] == [m.header for m in sent]  # one each, in order
    assert [i.header for i in camera.infos] == [m.header for m in sent]
    (event,) = camera.keyframes
    assert event.header == sent[0].header
    assert (event.reason, event.camera, event.interval_frames, event.score) == ("first", "", 0, 0.0)
    assert event.encode_s > 0 and event.queue_s >= 0


def test_the_mask_depends_on_the_picture_not_on_its_encoding(camera):
    image = camera.image(seed=5)
    first, _ = camera.segment(image)
    swapped = camera.image(seed=5, encoding="rgb8", padding=9)
    rows = np.frombuffer(image.data, np.uint8).reshape(64, 96, 3)[..., ::-1].reshape(64, -1)
    padded = np.frombuffer(swapped.data, np.uint8).reshape(64, -1).copy()
    padded[:, : 96 * 3] = rows
    swapped.data = padded.tobytes()
    second, _ = camera.segment(swapped)
    other, _ = camera.segment(seed=6)
    assert np.array_equal(pixels(first), pixels(second))
    assert not np.array_equal(pixels(first), pixels(other))


def test_a_burst_loses_images_but_neither_order_nor_the_newest(camera):
    size = dict(width=24, height=16)  # so small that DDS has room for all of them: it would lose the newest
    camera.segment(**size)
    sent = [camera.send(seed=n, **size) for n in range(40)]
    camera.answer(sent[-1])
    stamps = [(m.header.stamp.sec, m.header.stamp.nanosec) for m in camera.masks]
    assert stamps == sorted(set(stamps))
    dropped = sum(info.dropped_since_last for info in camera.infos)
    assert len(camera.masks) + dropped <= 41  # what DDS itself lost is in neither


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["sync", "two_sided"])
def test_other_modes_answer_every_image_too(segmenter, probe, mode):
    segmenter.start(mode=mode, max_interval=2)
    camera = Camera(probe).connect()
    sent = []
    for number in range(
        5
    ):  # keyframes are 0, 2 and 4; in two_sided mode the mask between comes with the second
        sent.append(camera.send(seed=number))
        if mode == "sync" or number % 2 == 0:
            camera.answer(sent[-1])
        else:  # the segmenter has it in progress, so that the next image does not displace it
            probe.diagnostic(
                camera.topic,
                lambda status: (
                    status.number("received") == len(sent) and status.number("feature_age_frames") == 1
                ),
            )
    assert [m.header for m in camera.masks] == [m.header for m in sent]
    assert {i.mode for i in camera.infos} == {mode}
    assert [(i.is_keyframe, i.feature_age_frames) for i in camera.infos] == [(True, 0), (False, 1)] * 2 + [
        (True, 0)
    ]


def test_request_keyframe(camera, probe):
    camera.segment()
    camera.segment()
    answer = probe.call(Trigger, "/dcfm/request_keyframe", Trigger.Request())
    assert answer.success and "next frame" in answer.message
    image = camera.send()
    _, info = camera.answer(image)
    assert info.is_keyframe
    event = probe.spin_until(lambda: len(camera.keyframes) > 1 and camera.keyframes[1], "the second keyframe")
    assert (event.reason, event.header, event.interval_frames) == ("requested", image.header, 2)
