# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A camera's messages on their way to frames: of a video every packet is decoded, also where no mask is made
of it."""

import array
import queue
import sys
from types import SimpleNamespace

import pytest
from pipeline_helpers import TIMEOUT_S, FakeBackend, acquire
from ros_helpers import Camera, stamp_ns
from std_msgs.msg import Header
from video_helpers import number_in
from video_packet_helpers import FRAMES, GOP, PERIOD_NS, encoded

from dcfm_ros.pipeline.frames import InputError
from dcfm_ros.pipeline.live import LiveSegmenter
from dcfm_ros.pipeline.segmenter import Segmenter
from dcfm_ros.ros.calibration import info_topic
from dcfm_ros.ros.camera_parameters import read_cameras
from dcfm_ros.ros.intake import open_intake
from dcfm_ros.ros.messages import time_message
from dcfm_ros.ros.parameters import declare_segmenter
from dcfm_ros.ros.transports import TRANSPORTS, transport_of

START_NS = 1_700_000_000_000_000_000
VIDEOS = ("ffmpeg", "foxglove")
ALL = list(range(FRAMES))


def fields_of(transport, one):
    """Return a message with a packet."""
    stamp = time_message(START_NS + one.number * PERIOD_NS)
    if transport == "foxglove":
        return dict(timestamp=stamp, frame_id="eye", data=one.data, format=one.format)
    return dict(
        header=Header(stamp=stamp, frame_id="eye"),
        width=64,
        height=48,
        encoding=one.format,
        pts=one.number,
        flags=0,
        is_bigendian=False,
        data=one.data,
    )


def message(transport, one):
    """A stand-in for a message of a package that need not be installed."""
    return SimpleNamespace(**fields_of(transport, one))


@pytest.fixture
def taken():
    return queue.Queue()


@pytest.fixture
def opened():
    intakes = []

    def open_(*arguments):
        intakes.append(open_intake(*arguments))
        return intakes[-1]

    yield open_
    for intake in intakes:
        intake.stop()


def loaded(taken, count):
    """Frames, or kinds of errors."""
    offered = [taken.get(timeout=TIMEOUT_S) for _ in range(count)]
    return [one.kind if isinstance(one, InputError) else one(5) for one in offered]


@pytest.mark.slow
@pytest.mark.parametrize("transport", VIDEOS)
@pytest.mark.parametrize("name", ["h264", "h265", "vp9"])
def test_packets_become_frames_with_their_headers(opened, taken, transport, name):
    intake = opened("front", transport, lambda stamp: True, taken.put, taken.put)
    for one in encoded(name):
        intake.received(message(transport, one))
    frames = loaded(taken, FRAMES)
    assert [number_in(frame.image) for frame in frames] == ALL
    assert [frame.stamp_ns for frame in frames] == [START_NS + number * PERIOD_NS for number in ALL]
    assert [stamp_ns(frame.context.stamp) for frame in frames] == [frame.stamp_ns for frame in frames]
    assert {(frame.camera, frame.context.frame_id, frame.is_bgr) for frame in frames} == {
        ("front", "eye", False)
    }
    received = [frame.received_ns for frame in frames]
    assert received == sorted(received) and received == [frame.arrival_ns for frame in frames]


def test_what_is_not_wanted_is_decoded_all_the_same(opened, taken):
    intake = opened(
        "", "ffmpeg", lambda stamp: (stamp - START_NS) // PERIOD_NS % 7 == 6, taken.put, taken.put
    )
    for one in encoded("h264"):
        intake.received(message("ffmpeg", one))
    assert [number_in(frame.image) for frame in loaded(taken, 4)] == [6, 13, 20, 27]


def test_packets_without_a_picture_are_refused_with_the_reason(opened, taken):
    intake = opened("", "ffmpeg", lambda stamp: True, taken.put, taken.put)
    for one in encoded("h264")[7:12]:
        intake.received(message("ffmpeg", one))
    intake.received(message("ffmpeg", encoded("h264")[12]._replace(format="mpeg4")))
    found = loaded(taken, 6)
    assert [one if isinstance(one, str) else number_in(one.image) for one in found] == ["key"] * 3 + [
        10,
        11,
        "encoding",
    ]


def test_messages_that_were_lost_on_the_way(opened, taken):
    intake = opened("", "foxglove", lambda stamp: True, taken.put, taken.put)
    intake.received(message("foxglove", encoded("vp9")[0]))
    frames = loaded(taken, 1)
    intake.lost()
    for one in encoded("vp9")[2:]:
        intake.received(message("foxglove", one))
    found = frames + loaded(taken, FRAMES - 2)
    assert [one if isinstance(one, str) else number_in(one.image) for one in found] == [0] + ["key"] * (
        GOP - 2
    ) + ALL[GOP:]


def test_a_mask_that_takes_long_costs_pictures_and_breaks_none(opened, taken):
    """The mask thread stands still while a whole stream comes: the newest picture is right all the same."""
    backend, masks = FakeBackend(), queue.Queue()
    segmenter = Segmenter(backend, (48, 64))
    live = LiveSegmenter(segmenter, masks.put)
    intake = opened(
        "", "ffmpeg", lambda stamp: True, lambda load: (live.offer("", load), taken.put(load)), taken.put
    )
    try:
        backend.shallow_gate.clear()
        intake.received(message("ffmpeg", encoded("h264")[0]))
        acquire(backend.shallow_started)
        for one in encoded("h264")[1:]:
            intake.received(message("ffmpeg", one))
        for _ in ALL:
            taken.get(timeout=TIMEOUT_S)
        backend.shallow_gate.set()
        results = [masks.get(timeout=TIMEOUT_S) for _ in range(2)]
        assert [number_in(result.frame.image) for result in results] == [0, FRAMES - 1]
        (status,) = segmenter.status()
        assert (status.received, status.masks, status.dropped) == (FRAMES, 2, FRAMES - 2)
    finally:
        backend.shallow_gate.set()
        live.stop()
        segmenter.stop()


@pytest.mark.parametrize(
    "topic, transport, info",
    [
        ("/a/image_raw", "raw", "/a/camera_info"),
        ("/a/image_raw/compressed", "compressed", "/a/camera_info"),
        ("/a/image_raw/ffmpeg", "ffmpeg", "/a/camera_info"),
        ("/a/image_raw/foxglove", "foxglove", "/a/camera_info"),
        ("/a/theora", "raw", "/a/camera_info"),
        ("/raw", "raw", "/camera_info"),
    ],
)
def test_the_ending_of_a_topic_tells_the_transport(topic, transport, info):
    assert transport_of(topic) == transport and info_topic(topic) == info


@pytest.mark.parametrize(
    "values, package",
    [
        (dict(image_transport="ffmpeg"), "ffmpeg_image_transport_msgs"),
        (dict(image_topic="/front/image_raw/foxglove"), "foxglove_msgs"),
    ],
)
def test_a_missing_package_is_named_in_one_sentence(monkeypatch, probe, values, package):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setitem(sys.modules, f"{package}.msg", None)
    if not probe.node.has_parameter("image_transport"):
        declare_segmenter(probe.node)
    given = {
        "cameras": [],
        "image_topic": "/camera/image_raw",
        "image_transport": "auto",
        "camera_info_topic": "",
        **values,
    }
    with pytest.raises(
        ValueError,
        match=f"needs the package {package}, which cannot be imported .*: install ros-<distribution>-"
        f"{package.replace('_', '-')}, or take the camera's raw or compressed images$",
    ):
        read_cameras(probe.node, given.get)


def message_class(transport):
    """Skips where its package is not installed."""
    try:
        return TRANSPORTS[transport].message_class()
    except ValueError as error:
        pytest.skip(str(error))


@pytest.mark.slow
@pytest.mark.parametrize("transport", VIDEOS)
def test_a_video_over_dds_has_masks(segmenter, probe, transport):
    kind, topic = message_class(transport), f"/camera/image_raw/{transport}"
    segmenter.start(image_topic=topic)
    camera, publisher = Camera(probe, "/unused"), probe.publisher(kind, topic, reliable=True)
    probe.diagnostic(topic, lambda status: status.message.startswith("no image yet"))
    probe.meet("/dcfm/segmenter")
    stream = encoded("h264")
    for one in stream[:3] + stream[4:]:  # the fourth is lost
        publisher.publish(kind(**{**fields_of(transport, one), "data": array.array("B", one.data)}))
        if one.number in (3, *range(5, GOP)):
            continue
        if one.number == 4:
            status = probe.diagnostic(topic, lambda status: status.number("refused_key") == 1)
            assert "waits for an IDR picture of H.264, since" in status.values["last_error"]
            continue
        mask = probe.spin_until(
            lambda number=one.number: next(
                (
                    mask
                    for mask in camera.masks
                    if stamp_ns(mask.header.stamp) == START_NS + number * PERIOD_NS
                ),
                None,
            ),
            f"mask {one.number}",
        )
        assert (mask.width, mask.height, mask.header.frame_id) == (64, 48, "eye")
    assert len(camera.masks) == FRAMES - GOP + 3
    status = probe.diagnostic(topic, lambda status: status.number("refused_key") == GOP - 4)
    assert status.number("masks") == len(camera.masks) and status.number("dropped") == 0
    assert probe.node.count_subscribers(topic) == 1
