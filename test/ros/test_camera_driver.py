# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The camera node stands in for a driver: QoS, frames, camera_info beside each image, and namespaces."""

import json
import os
import signal
import subprocess
import sys

import cv2
import numpy as np
import pytest
from bags_helpers import write_bag
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from dcfm_ros.ros.camera_node import CameraNode
from dcfm_ros.stamps import stamp_ns

COUNT, WIDTH, HEIGHT = 6, 32, 24
ALL = QoSProfile(depth=1000)  # of what a test counts
CALIBRATION = """\
image_width: 32
image_height: 24
camera_matrix: {rows: 3, cols: 3, data: [30.5, 0, 16, 0, 31.5, 12, 0, 0, 1]}
distortion_model: equidistant
distortion_coefficients: {rows: 1, cols: 4, data: [0.1, 0.2, 0.3, 0.4]}
rectification_matrix: {rows: 3, cols: 3, data: [1, 0, 0, 0, 1, 0, 0, 0, 1]}
projection_matrix: {rows: 3, cols: 4, data: [29, 0, 15, 0, 0, 28, 11, 0, 0, 0, 1, 0]}
"""


@pytest.fixture
def folder(tmp_path):
    return pictures(tmp_path / "pictures", 100)


@pytest.fixture
def calibration(tmp_path):
    file = tmp_path / "camera.yaml"
    file.write_text(CALIBRATION)
    return file


def pictures(folder, gray, size=(HEIGHT, WIDTH)):
    """COUNT pictures of one gray."""
    folder.mkdir()
    for number in range(COUNT):
        cv2.imwrite(str(folder / f"{number:03}.png"), np.full((*size, 3), gray, np.uint8))
    return folder


def camera_of(probe, source, namespace="", **values) -> CameraNode:
    values = {"source": str(source), "rate": 20.0, "loop": False, "wait_for_subscribers": 1, **values}
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    return CameraNode(context=probe.context, namespace=namespace, parameter_overrides=overrides)


def run(probe, source, until, **values) -> CameraNode:
    """Send the source once, to its end and until what it brings is there."""
    node = camera_of(probe, source, **values)
    try:
        probe.spin_until(lambda: node.finished.is_set() and until(), "the end of the camera")
    finally:
        node.destroy_node()
    assert not node.failed
    return node


def reliability(probe, topic) -> list[ReliabilityPolicy]:
    """Wait for a publisher of a topic and return the publishers' QoS."""
    return [
        info.qos_profile.reliability
        for info in probe.spin_until(
            lambda: probe.node.get_publishers_info_by_topic(topic), f"a publisher of {topic}"
        )
    ]


# QoS


@pytest.mark.slow
def test_reliable_and_best_effort_subscribers_get_the_images(folder, probe):
    reliable = probe.collect(Image, "/camera/image_raw", ALL)  # what rclpy and rclcpp do by default
    best_effort = probe.collect(Image, "/camera/image_raw", qos_profile_sensor_data)
    run(probe, folder, lambda: len(reliable) == len(best_effort) == COUNT, wait_for_subscribers=2)
    stamps = [stamp_ns(image.header.stamp) for image in reliable]
    assert stamps == sorted({*stamps}) == [stamp_ns(image.header.stamp) for image in best_effort]


@pytest.mark.parametrize(
    "values, image, info",
    [
        ({}, "RELIABLE", "RELIABLE"),
        ({"reliable": False}, "BEST_EFFORT", "BEST_EFFORT"),
        ({"qos_overrides./camera/image_raw.publisher.reliability": "best_effort"}, "BEST_EFFORT", "RELIABLE"),
        (
            {"reliable": False, "qos_overrides./camera/camera_info.publisher.reliability": "reliable"},
            "BEST_EFFORT",
            "RELIABLE",
        ),
    ],
)
def test_what_is_offered(folder, probe, values, image, info):
    node = camera_of(probe, folder, **values)  # which waits for a subscriber
    try:
        assert reliability(probe, "/camera/image_raw") == [ReliabilityPolicy[image]]
        assert reliability(probe, "/camera/camera_info") == [ReliabilityPolicy[info]]
    finally:
        node.destroy_node()


def test_recordings_are_offered_reliably(probe, tmp_path):
    # the default: recordings have their own
    node = camera_of(probe, write_bag(tmp_path / "drive", 1), rate=15.0)
    try:
        assert reliability(probe, "/camera/image_raw") == [ReliabilityPolicy.RELIABLE]
    finally:
        node.destroy_node()


FROZEN = """
import rclpy
from rclpy.node import Node
from sensor_msgs.msg import Image
rclpy.init()
node = Node("frozen")
node.create_subscription(Image, "/camera/image_raw", lambda image: print("heard", flush=True), 10)
rclpy.spin(node)
"""


@pytest.mark.slow
def test_a_frozen_reliable_subscriber_does_not_hold_up_the_others(processes, probe, tmp_path):
    """It acknowledges nothing any more, and what is kept for it is only the newest images."""
    log, heard = tmp_path / "sent.jsonl", tmp_path / "frozen.log"
    source = pictures(tmp_path / "larger", 50, size=(240, 320))
    images = probe.collect(Image, "/camera/image_raw", ALL)
    with heard.open("w") as output:
        frozen = subprocess.Popen([sys.executable, "-c", FROZEN], stdout=output)
    try:
        camera = processes(
            "camera",
            *(
                part
                for name, value in {
                    "source": source,
                    "rate": 20.0,
                    "preload": "true",
                    "sent_log": log,
                    "wait_for_subscribers": 2,
                }.items()
                for part in ("-p", f"{name}:={value}")
            ),
        )
        probe.spin_until(lambda: "heard" in heard.read_text(), "an image at the subscriber that is to freeze")
        os.kill(frozen.pid, signal.SIGSTOP)
        before = stamp_ns(images[-1].header.stamp)
        since = lambda: [stamp for image in images if (stamp := stamp_ns(image.header.stamp)) > before]
        probe.spin_until(lambda: len(since()) >= 60, "images beside the frozen subscriber")
        assert camera.stop() == 0  # nor does it hold up the end
    finally:
        frozen.kill()
        frozen.wait()
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    published = [entry["published_ns"] for entry in entries if before < entry["stamp_ns"] <= since()[-1]]
    gaps_s = np.diff(published) / 1e9
    # 0.05 by the rate; the machine may be busy
    assert np.median(gaps_s) < 0.075 and gaps_s.max() < 2.0, gaps_s
    assert len(since()) > 0.9 * len(published)


# Frames and camera_info


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["bgr8", "jpeg"])
def test_an_uncalibrated_camera(folder, probe, encoding):
    kind, topic = (
        (CompressedImage, "/camera/image_raw/compressed")
        if encoding == "jpeg"
        else (Image, "/camera/image_raw")
    )
    images, infos = probe.collect(kind, topic, ALL), probe.collect(CameraInfo, "/camera/camera_info", ALL)
    run(probe, folder, lambda: len(images) == len(infos) == COUNT, encoding=encoding)
    assert [info.header for info in infos] == [image.header for image in images]
    assert len({stamp_ns(info.header.stamp) for info in infos}) == COUNT
    for info in infos:
        assert info.header.frame_id == "camera_optical_frame"
        assert (info.width, info.height, info.distortion_model) == (WIDTH, HEIGHT, "") and not np.any(info.k)


@pytest.mark.slow
@pytest.mark.parametrize("preload", [False, True])
def test_a_calibrated_camera(folder, calibration, probe, preload):
    images, infos = (
        probe.collect(Image, "/front/image", ALL),
        probe.collect(CameraInfo, "/front/camera_info", ALL),
    )
    run(
        probe,
        folder,
        lambda: len(images) == len(infos) == COUNT,
        image_topic="/front/image",
        frame_id="front_optical_frame",
        camera_info_url=f"file://{calibration}",
        preload=preload,
    )
    assert [info.header for info in infos] == [image.header for image in images]
    for info in infos:
        assert (info.width, info.height, info.header.frame_id) == (WIDTH, HEIGHT, "front_optical_frame")
        assert info.distortion_model == "equidistant" and list(info.d) == [0.1, 0.2, 0.3, 0.4]
        assert list(info.k) == [30.5, 0, 16, 0, 31.5, 12, 0, 0, 1]
        assert list(info.p) == [29, 0, 15, 0, 0, 28, 11, 0, 0, 0, 1, 0]


@pytest.mark.slow
def test_images_are_brought_to_the_size_of_the_calibration(calibration, probe, tmp_path):
    infos = probe.collect(CameraInfo, "/camera/camera_info", ALL)
    images = probe.collect(Image, "/camera/image_raw", ALL)
    run(
        probe,
        pictures(tmp_path / "large", 50, size=(48, 64)),
        lambda: len(infos) == COUNT,
        camera_info_url=str(calibration),
        width=WIDTH,
        height=HEIGHT,
    )
    assert (images[0].width, infos[0].width, infos[0].k[0]) == (WIDTH, WIDTH, 30.5)


@pytest.mark.parametrize(
    "size, remedy",
    [
        (
            (48, 64),
            "64x48: give a calibration of that size, or set width to 32 and height to 24",
        ),  # of the same shape
        ((48, 48), "48x48: give a calibration of that size"),
    ],
)
def test_a_calibration_of_another_size_is_refused(calibration, probe, tmp_path, size, remedy):
    source = pictures(tmp_path / "other", 50, size=size)
    with pytest.raises(
        ValueError, match=f"{calibration} is for images of 32x24, and those of {source} are {remedy}$"
    ):
        camera_of(probe, source, camera_info_url=str(calibration))


@pytest.mark.slow
def test_an_image_of_another_size_on_the_way_ends_a_calibrated_camera(folder, calibration, processes, probe):
    cv2.imwrite(str(folder / "003.png"), np.zeros((50, 60, 3), np.uint8))
    images = probe.collect(Image, "/camera/image_raw", ALL)
    camera = processes(
        "camera",
        *(
            part
            for name, value in {
                "source": folder,
                "camera_info_url": calibration,
                "wait_for_subscribers": 1,
            }.items()
            for part in ("-p", f"{name}:={value}")
        ),
    )
    probe.spin_until(lambda: not camera.running(), "the end of the camera")
    assert camera.wait() == 1 and "is for images of 32x24, and those of" in camera.text(), camera.text()
    probe.spin_until(lambda: len(images) == 3, "the images before")


@pytest.mark.slow
def test_a_broken_calibration_ends_the_process_with_a_sentence(folder, calibration, processes):
    calibration.write_text(CALIBRATION.replace("30.5", ".nan"))
    camera = processes("camera", "-p", f"source:={folder}", "-p", f"camera_info_url:={calibration}")
    assert camera.wait() == 1 and "Traceback" not in camera.text()
    assert (
        f"{calibration} holds no calibration: camera_matrix holds nan, which is not a finite number"
        in camera.text()
    )


# Namespaces


@pytest.mark.slow
def test_two_robots_do_not_share_a_camera(processes, probe, tmp_path):
    grays = {"/robot1": 50, "/robot2": 200}
    images = {robot: probe.collect(Image, f"{robot}/camera/image_raw", ALL) for robot in grays}
    infos = {robot: probe.collect(CameraInfo, f"{robot}/camera/camera_info", ALL) for robot in grays}
    shared = probe.collect(Image, "/camera/image_raw", ALL)
    cameras = [
        processes(
            "camera",
            "-r",
            f"__ns:={robot}",
            "-p",
            f"source:={pictures(tmp_path / robot[1:], gray)}",
            "-p",
            f"frame_id:={robot[1:]}/camera_optical_frame",
        )
        for robot, gray in grays.items()
    ]
    probe.spin_until(
        lambda: all(len(collected) >= COUNT for both in (images, infos) for collected in both.values()),
        "the images of both",
    )
    assert {("camera", robot) for robot in grays} <= {*probe.node.get_node_names_and_namespaces()}
    assert all(camera.stop() == 0 for camera in cameras)
    assert not shared
    for robot, gray in grays.items():
        assert {image.data[0] for image in images[robot]} == {gray}
        assert {message.header.frame_id for message in (*images[robot], *infos[robot])} == {
            f"{robot[1:]}/camera_optical_frame"
        }


@pytest.mark.slow
def test_the_camera_info_follows_a_remapped_image(folder, processes, probe):
    infos = probe.collect(CameraInfo, "/front/camera_info", ALL)
    processes("camera", "-r", "camera/image_raw:=/front/image", "-p", f"source:={folder}")
    probe.spin_until(lambda: infos, "a camera_info")


@pytest.mark.slow
@pytest.mark.parametrize(
    "topics, masks",
    [
        (["/camera/image_raw"], ["/robot1/dcfm/mask"]),
        (["/front/image_raw", "/rear/image_raw"], ["/robot1/dcfm/front/mask", "/robot1/dcfm/rear/mask"]),
    ],
)
def test_masks_come_from_the_segmenter_of_the_same_namespace(processes, probe, tmp_path, topics, masks):
    for topic in topics:
        probe.collect(Image, topic, ALL)
    camera = processes(
        "camera",
        "-r",
        "__ns:=/robot1",
        "-p",
        f"source:={write_bag(tmp_path / 'drive', 1, topics)}",
        "-p",
        "lockstep:=true",
    )
    camera.wait_for_text(f"waiting for {' and '.join(f'a publisher of {mask}' for mask in masks)}\n")
    assert f"in lock-step with {', '.join(masks)} on {', '.join(topics)}\n" in camera.text()
    assert camera.stop() == 0
