# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One camera's topics: bad input and what follows it, new sequences, outputs on demand, QoS."""

import array
import os
import time
from collections import Counter

import cv2
import numpy as np
import pytest
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from ros_helpers import OUTPUTS, PERIOD_NS, Camera, check_mask, of, pixels
from sensor_msgs.msg import CompressedImage, Image

from dcfm_ros.pipeline import topics
from dcfm_ros.ros.camera_port import LOG_PERIOD_S

SILENCE_S = 5.0  # of stamps


def _raw(**fields):
    """Makes a bad image of a good one."""

    def spoil(image):
        for name, value in fields.items():
            setattr(image, name, value)
        return image

    return spoil


def _cut(image):
    image.data = image.data[:-1]
    return image


BAD_IMAGES = [
    ("encoding", _raw(encoding="32FC1"), ["32FC1", "bgr8"]),
    ("encoding", _raw(encoding=""), ["encoding ''"]),
    ("encoding", _raw(encoding="bgr8\n\x1b[31m" + "x" * 5000), ["xxx"]),
    ("data", _cut, ["18431", "18432"]),
    ("data", _raw(data=array.array("B")), ["0 bytes"]),
    ("data", _raw(step=100), ["step is 100"]),
    ("size", _raw(width=0, height=0, step=0), ["0×0"]),
    ("size", _raw(width=2**32 - 1, height=2**32 - 1, step=2**32 - 1), ["4294967295"]),
    ("data", _raw(height=16384, step=2**32 - 1), ["truncated"]),
]


@pytest.mark.slow
def test_bad_images_are_refused_counted_and_told(segmenter, camera, probe):
    camera.segment()
    counts = Counter()
    for kind, spoil, words in BAD_IMAGES:
        before = segmenter.said()
        bad = spoil(camera.image())
        camera.send(bad)
        counts[kind] += 1
        status = probe.diagnostic(camera.topic, lambda s: s.number(f"refused_{kind}") == counts[kind])
        assert all(word in status.values["last_error"] for word in words), status.values["last_error"]
        camera.segment()
        assert not camera.has_mask(bad)
        assert len(segmenter.text_since(before)) < 1500
    assert not any(info.is_keyframe for info in camera.infos[1:])


@pytest.mark.slow
def test_many_bad_images_make_few_lines(segmenter, camera, probe):
    before, began, line = segmenter.said(), time.monotonic(), "no mask for an image"

    def send():
        return camera.send(_raw(encoding="nonsense")(camera.image()))

    # The first line comes when the last one of the tests before is old enough.
    probe.spin_until(lambda: send() and line in segmenter.text_since(before), "a line")
    for _ in range(3):
        for _ in range(20):
            send()
        probe.diagnostic(camera.topic)  # it has time for them
    camera.segment()
    assert segmenter.text_since(before).count(line) <= 1 + (time.monotonic() - began) / LOG_PERIOD_S
    assert "nonsense" in segmenter.text_since(before)


@pytest.mark.slow
def test_another_size_begins_a_new_sequence(camera):
    camera.segment(width=96, height=64)
    camera.segment(width=96, height=64)
    for width, height in ((128, 96), (31, 77), (1, 1), (96, 64)):
        image = camera.send(width=width, height=height, seed=width)
        mask, info = camera.answer(image)
        check_mask(mask, image, width, height, 4)
        assert info.is_keyframe and info.feature_age_frames == 0
        image = camera.send(width=width, height=height, seed=width)
        check_mask(camera.answer(image)[0], image, width, height, 4)
    camera.probe.spin_until(lambda: len(camera.keyframes) == 5, "five keyframes")
    assert [event.reason for event in camera.keyframes] == ["first"] + ["reset"] * 4
    assert camera.probe.diagnostic(camera.topic).number("resets") == 4


@pytest.mark.slow
@pytest.mark.parametrize("width, height", [(1, 1), (1, 400), (400, 1), (16384, 1), (2, 2), (31, 33)])
def test_images_of_any_shape_have_masks_and_overlays_of_their_size(camera, probe, width, height):
    overlays, pngs = (
        probe.collect(Image, "/dcfm/overlay"),
        probe.collect(CompressedImage, "/dcfm/mask/compressed"),
    )
    probe.meet("/dcfm/segmenter")
    for _ in range(2):
        image = camera.send(width=width, height=height)
        check_mask(camera.answer(image)[0], image, width, height, 4)
        overlay = probe.spin_until(lambda: of(overlays, image), "the overlay")
        assert (overlay.width, overlay.height, overlay.encoding) == (width, height, "rgb8")
        png = probe.spin_until(lambda: of(pngs, image), "the PNG")
        assert cv2.imdecode(np.frombuffer(png.data, np.uint8), cv2.IMREAD_UNCHANGED).shape == (height, width)


@pytest.mark.slow
def test_stamps_that_jump(segmenter, probe):
    segmenter.start(silence_s=SILENCE_S)
    camera = Camera(probe).connect()
    camera.segment()
    camera.segment()
    camera.stamp_ns -= 60 * 10**9  # a bag that begins again
    assert camera.segment()[1].is_keyframe
    camera.stamp_ns += int(SILENCE_S * 1e9) + PERIOD_NS  # a camera that was silent
    assert camera.segment()[1].is_keyframe
    camera.stamp_ns += int(SILENCE_S * 1e9) - 2 * PERIOD_NS  # a short break
    assert not camera.segment()[1].is_keyframe
    camera.stamp_ns -= PERIOD_NS  # the same stamp twice
    assert not camera.segment()[1].is_keyframe
    camera.stamp_ns = -PERIOD_NS  # a driver that sets no stamps
    assert camera.segment()[1].is_keyframe
    probe.spin_until(lambda: len(camera.keyframes) == 4, "four keyframes")
    assert [event.reason for event in camera.keyframes] == ["first", "reset", "reset", "reset"]


@pytest.mark.slow
def test_a_camera_that_goes_and_another_that_comes(camera, probe):
    camera.segment()
    camera.close()
    probe.diagnostic(
        camera.topic, lambda status: status.message.startswith(f"no publisher on {camera.topic}")
    )
    again = Camera(probe, reliable=True, stamp_ns=camera.stamp_ns).connect()
    assert not again.segment()[1].is_keyframe  # by its stamps it was gone for one image only


@pytest.mark.slow
def test_compressed_images_good_and_bad(segmenter, probe):
    segmenter.start(image_topic="/camera/image_raw/compressed")
    camera = Camera(probe, "/camera/image_raw/compressed", kind=CompressedImage).connect()
    image = camera.send(width=80, height=48)
    check_mask(camera.answer(image)[0], image, 80, 48, 4)
    for damaged in (
        b"",
        b"\xff\xd8\xff",
        b"hello",
        bytes(image.data)[: len(image.data) // 2],
        bytes(image.data)[200:],
    ):
        count = probe.diagnostic(camera.topic).number("refused_decode")
        bad = camera.image()
        bad.data = array.array("B", damaged)
        camera.send(bad)
        status = probe.diagnostic(camera.topic, lambda s: s.number("refused_decode") == count + 1)
        assert ("not a whole JPEG or PNG" if damaged else "has no data") in status.values["last_error"]
        assert not camera.has_mask(bad)
    png = camera.image()
    png.format, png.data = (
        "bgr8; png compressed bgr8",
        array.array("B", cv2.imencode(".png", np.zeros((40, 50, 3), np.uint8))[1].tobytes()),
    )
    camera.send(png)
    check_mask(camera.answer(png)[0], png, 50, 40, 4)


@pytest.mark.slow
def test_the_transport_is_that_of_the_topic_after_remapping(processes, model, probe):
    processes(
        "segmenter",
        "-r",
        "__ns:=/remapped",
        "-r",
        "/remapped/camera/image_raw:=/c/image_raw/compressed",
        "-p",
        f"model:={model}",
        "-p",
        "backend:=torch",
    )
    camera = Camera(probe, "/c/image_raw/compressed", "/remapped", CompressedImage).connect()
    image = camera.send()
    check_mask(camera.answer(image)[0], image, 96, 64, 4)


@pytest.mark.slow
def test_outputs_are_made_while_somebody_listens(camera, probe):
    mask, _ = camera.segment()
    confidence = probe.collect(Image, "/dcfm/confidence")
    overlay = probe.collect(Image, "/dcfm/overlay")
    overlay_jpeg = probe.collect(CompressedImage, "/dcfm/overlay/compressed")
    mask_png = probe.collect(CompressedImage, "/dcfm/mask/compressed")
    outputs = (confidence, overlay, overlay_jpeg, mask_png)
    probe.spin_until(lambda: camera.segment() and all(outputs), "all outputs")
    image = camera.send(seed=3)
    mask, _ = camera.answer(image)
    probe.spin_until(lambda: all(of(output, image) for output in outputs), "all outputs of one image")
    confidence, overlay, overlay_jpeg, mask_png = (of(output, image) for output in outputs)
    assert all(output.header == image.header for output in (confidence, overlay, overlay_jpeg, mask_png))
    assert (confidence.encoding, confidence.step) == ("mono8", 96)
    assert np.all(pixels(confidence) >= 255 // 4)  # the best of 4 classes
    assert (overlay.encoding, overlay.step, overlay.height) == ("rgb8", 3 * 96, 64)
    assert mask_png.format.startswith("mono8; png")
    decoded = cv2.imdecode(np.frombuffer(mask_png.data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert decoded.ndim == 2 and np.array_equal(decoded, pixels(mask))
    assert "jpeg" in overlay_jpeg.format and bytes(overlay_jpeg.data[:3]) == b"\xff\xd8\xff"
    picture = cv2.imdecode(np.frombuffer(overlay_jpeg.data, np.uint8), cv2.IMREAD_COLOR)
    difference = picture[..., ::-1].astype(int) - np.frombuffer(overlay.data, np.uint8).reshape(64, 96, 3)
    assert np.abs(difference).mean() < 40  # noise compresses badly, but swapped channels would be far worse


@pytest.mark.slow
def test_overlay_alpha_zero_shows_the_camera_image_in_rgb(camera, probe):
    assert probe.set(overlay_alpha=0.0) == ""
    overlay = probe.collect(Image, "/dcfm/overlay")
    probe.spin_until(lambda: camera.segment() and overlay, "an overlay")
    image = camera.send(seed=9)
    picture = probe.spin_until(lambda: of(overlay, image), "the overlay")
    sent = np.frombuffer(image.data, np.uint8).reshape(64, 96, 3)
    assert np.array_equal(np.frombuffer(picture.data, np.uint8).reshape(64, 96, 3), sent[..., ::-1])


@pytest.mark.slow
def test_masks_alone_are_published_when_nobody_listens_to_the_rest(camera, probe):
    """Nothing that nobody subscribed to is computed; the topics are there for those who come."""
    camera.segment()
    probe.spin_until(lambda: all(probe.publishers()[topic] for topic in OUTPUTS), "all topics")
    types = dict(probe.node.get_topic_names_and_types())
    for topic in OUTPUTS:
        output = topics.OUTPUTS[topic.removeprefix("/dcfm/")]
        assert types[topic] == [output.type]
        for publisher in probe.node.get_publishers_info_by_topic(topic):
            durability = publisher.qos_profile.durability
            assert (durability == DurabilityPolicy.TRANSIENT_LOCAL) == output.latched


@pytest.mark.slow
@pytest.mark.parametrize("reliable", [True, False], ids=["reliable", "best_effort"])
def test_publishers_of_both_kinds_are_heard(segmenter, probe, reliable):
    segmenter.start()
    camera = Camera(probe, reliable=reliable).connect()
    for _ in range(3):
        camera.segment()
    assert len(camera.masks) == 3


@pytest.mark.slow
def test_masks_are_reliable_for_those_who_ask(camera, probe):
    def reliability(endpoints, topic):
        """Of the one endpoint of a topic, once those of the tests before are gone."""
        found = probe.spin_until(
            lambda: len(found := endpoints(topic)) == 1 and found, f"one endpoint of {topic}"
        )
        return found[0].qos_profile.reliability

    assert reliability(probe.node.get_publishers_info_by_topic, "/dcfm/mask") == ReliabilityPolicy.RELIABLE
    assert (
        reliability(probe.node.get_subscriptions_info_by_topic, camera.topic) == ReliabilityPolicy.BEST_EFFORT
    )


@pytest.mark.slow
@pytest.mark.skipif(
    any(os.environ.get(f"FAST{name}_DEFAULT_PROFILES_FILE") for name in ("RTPS", "DDS"))
    or os.environ.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp") != "rmw_fastrtps_cpp",
    reason="only Fast DDS with its own settings loses large images",
)
def test_images_that_dds_loses_are_counted_and_told(segmenter, camera, probe):
    """Best effort, and greater than any shared memory: that of Fast DDS, and of our profile, which other
    tests may have loaded."""
    before, sent = segmenter.said(), 0
    image = camera.image(width=4096, height=3072)

    def send():
        nonlocal sent
        image.header = camera.header()
        camera.send(image)
        sent += 1

    status = probe.diagnostic(camera.topic, lambda status: send() or status.number("lost") > 0)
    for _ in range(40):
        send()
    status = probe.diagnostic(camera.topic, lambda status: status.number("lost") > 0)
    assert 0 < status.number("lost") + status.number("received") <= sent
    segmenter.process.wait_for_text("images lost in transport", before)
    assert "fastdds.xml" in segmenter.text_since(before)
