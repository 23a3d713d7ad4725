# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Inputs that the node `points` refuses or misses, over DDS: counters and messages."""

import array
import itertools

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from points_helpers import image_fields, places, records, scene
from points_node_helpers import POSE, Robot, refused, start, state_of  # noqa: F401
from ros_helpers import Probe
from sensor_msgs.msg import Image, PointCloud2, PointField

BAD = [  # what is sent with a mask of (8, 6) pixels, by which kind it is counted, and what is said
    (
        dict(frame="other" * 20_000),
        "frame",
        f"depth has frame_id '{'other' * 12}', but the mask has 'optical_frame': use what is registered",
    ),
    (dict(encoding="bgr8"), "encoding", "depth image has encoding 'bgr8': publish it as 16UC1 or 32FC1"),
    (
        dict(data=array.array("B", b"short")),
        "data",
        "depth image has 5 bytes of data, but height × step is 192",
    ),
    (
        dict(depth=np.ones((3, 4), np.float32)),
        "camera",
        "camera_info is for 8×6 pixels, but the depth image is 4×3: set info_topic",
    ),
    (dict(width=0), "size", "depth image is 0×6 pixels"),
]


@pytest.mark.slow
def test_bad_depth_is_counted_and_told(start, probe):
    node = start()
    robot = Robot(probe).connect(node)
    robot.send_mask(at=0)
    for changes, kind, text in BAD:
        robot.send_depth(0, **changes)
        assert refused(probe, node, kind).startswith(text)
    status = state_of(probe, lambda status: status.level == DiagnosticStatus.ERROR)
    assert status.message.startswith("refused: ") and {"key", "value"} <= {
        *status.values[0].get_fields_and_field_types()
    }
    assert {item.key for item in status.values} >= {"published", "without_mask", "last_error"}
    robot.send_depth(at=0)
    robot.received()


def test_bad_masks_and_calibrations_are_counted(start, probe):
    node = start()
    robot = Robot(probe).connect(node)
    robot.send_info(k=[0.0] * 9)
    probe.spin_until(lambda: node._info.k[0] == 0, "the calibration of zeros")
    robot.send_mask(at=0)
    robot.send_depth(at=0)
    assert refused(probe, node, "camera").startswith(
        "camera_info has focal lengths 0 and 0 in K, so the camera is not calibrated"
    )
    robot.mask.publish(
        Image(header=robot.header(40), **{**image_fields(scene()[1], "mono8"), "encoding": "rgb8"})
    )
    robot.send_depth(at=40)
    assert refused(probe, node, "encoding").startswith("mask has encoding 'rgb8'")


def test_a_cloud_without_places_is_counted(start, probe):
    node = start(source="cloud")
    robot = Robot(probe, PointCloud2, "/pointed/camera/depth/points").connect(node)
    robot.send_mask(at=0)
    robot.send_cloud(0, records(places(scene()[0])), fields=[PointField(name="x", datatype=7)])
    assert refused(probe, node, "fields").startswith("cloud has no field y of one float32")


def test_another_frame_can_be_allowed(start, probe):
    node = start(allow_other_frame="true")
    robot = Robot(probe).connect(node)
    robot.send_mask(at=0)
    robot.send_depth(0, frame="other")
    assert robot.received().header.frame_id == "other"


def test_classes_of_another_model_and_no_calibration_yet(start, probe):
    node = start(classes="[road]")
    robot = Robot(probe)
    for publisher in (robot.mask, robot.geometry):
        probe.spin_until(lambda: publisher.get_subscription_count() > 0, "a subscription")
    words = "classes has 'road', which the segmenter's palette has not: use some of box, wall"
    probe.spin_until(lambda: node._without_classes == words, "its words")
    robot.send_mask(at=0)
    robot.send_depth(at=0)
    refused(probe, node, "palette")
    robot.send_palette([(7, "road", (1, 2, 3))])
    probe.spin_until(lambda: node._classes, "the palette")
    robot.send_depth(at=0)
    assert refused(probe, node, "camera").startswith(
        "no camera_info yet on /pointed/camera/depth/camera_info"
    )


@pytest.mark.slow
def test_messages_that_are_none_are_counted(start, probe):
    node = start()
    robot = Robot(probe).connect(node)
    publishers = robot.mask, robot.geometry, robot.info, robot.palette
    for count, publisher in enumerate(publishers, 1):
        publisher.publish(b"\0\1\0\0" + b"\xff" * 40)
        told = refused(probe, node, "message", count)
        assert f"a message of 44 bytes is no {publisher.msg_type.__name__}" in told
    robot.send_mask(at=0)
    robot.send_depth(at=0)
    robot.received()


@pytest.mark.slow
def test_diagnostics_say_what_is_missing(start, probe):
    start()
    probe.collect(PointCloud2, "/pointed/points")
    state_of(
        probe,
        lambda status: status.message == "no publisher on /pointed/mask: start the segmenter, or set camera",
    )
    mask = probe.publisher(Image, "/pointed/mask")
    told = state_of(
        probe,
        lambda status: status.message.startswith("no messages on /pointed/mask, although it has a publisher"),
    )
    assert told.level == DiagnosticStatus.WARN

    def state_with_masks(start_of_message):
        """That comes while masks do."""
        probe.spin_until(
            lambda: (
                mask.publish(Image())
                or any(
                    status.message.startswith(start_of_message)
                    for message in probe.arrays()
                    for status in message.status
                )
            ),
            start_of_message,
        )

    state_with_masks(
        "no publisher on /pointed/camera/depth/image_raw: start the sensor, or set topic and source"
    )
    other = Probe("other")  # whose DDS participant may have another type under this name
    other.publisher(PointCloud2, "/pointed/camera/depth/image_raw")
    state_with_masks(
        "/pointed/camera/depth/image_raw is published as sensor_msgs/msg/PointCloud2, not as "
        "sensor_msgs/msg/Image: start the"
    )
    other.close()


@pytest.mark.slow
def test_masks_of_other_stamps_are_told(start, probe):
    node = start()
    robot = Robot(probe).connect(node)
    stamps = itertools.count(0, 40)

    def send():
        at = next(stamps)
        robot.send_depth(at)
        robot.send_mask(at + 12)
        return any(
            "the nearest stamp differs by 0.0" in status.message and "set sync to nearest" in status.message
            for message in probe.arrays()
            for status in message.status
        )

    probe.spin_until(send, "its words")


@pytest.mark.parametrize(
    "parameters, what",
    [
        (dict(source="radar"), "source 'radar': use one of depth, cloud, lidar"),
        (dict(sync="always"), "sync 'always': use one of auto, exact, nearest"),
        (dict(slop_s=-1.0), "slop_s -1.0: use 0 to 10"),
        (dict(waiting=0), "waiting 0: use 1 to 100"),
        (dict(drop_outside="true"), "drop_outside is True, which does not apply to source depth"),
        (dict(source="cloud", transform=f"'{POSE}'"), "transform is '0 -0.5"),
        (dict(source="lidar", transform="'1 2 3'"), "transform '1 2 3': give seven numbers"),
        (dict(topic="'a b'"), "topic '/pointed/a b' is not a topic name"),
    ],
)
def test_parameters_that_cannot_be_used(start, parameters, what):
    with pytest.raises(ValueError, match=f"^{what}"):
        start(**parameters)
