# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node `points` over DDS, with masks, depth images and clouds of the tests' own."""

import itertools
import signal

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus
from points_helpers import BOX, HEIGHT, WALL, WIDTH, colours, image_fields, places, records, scene, xyz
from points_node_helpers import FRAME, POSE, Robot, arguments, refused, start, state_of  # noqa: F401
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image, PointCloud2, PointField

from dcfm_ros.points.cloud import read_cloud
from dcfm_ros.points.errors import PointsError
from dcfm_ros.ros import transforms
from dcfm_ros.ros.points_node import PointsNode
from dcfm_ros.ros.transforms import FixedTransform, TfTransforms


def test_depth_becomes_labelled_points(start, probe):
    node = start()
    robot = Robot(probe).connect(node)
    depth, mask = scene()
    robot.send_depth(at=40)
    probe.spin_until(lambda: node.counts["geometry"], "the depth image")
    assert node.counts["published"] == 0  # it waits
    robot.send_mask(at=40)
    found = robot.received()
    assert found.header == robot.header(40)
    assert (found.height, found.width, found.point_step, found.row_step) == (HEIGHT, WIDTH, 20, 20 * WIDTH)
    assert (found.is_bigendian, found.is_dense) == (False, False)
    assert [(f.name, f.offset, f.datatype, f.count) for f in found.fields] == [
        ("x", 0, PointField.FLOAT32, 1),
        ("y", 4, PointField.FLOAT32, 1),
        ("z", 8, PointField.FLOAT32, 1),
        ("rgb", 12, PointField.FLOAT32, 1),
        ("label", 16, PointField.UINT8, 1),
    ]
    points = read_cloud(found)
    np.testing.assert_array_equal(xyz(points), places(depth))
    np.testing.assert_array_equal(points["label"], mask)
    np.testing.assert_array_equal(points["rgb"].copy().view(np.uint32), colours(mask))
    assert node.counts == {
        "masks": 1,
        "geometry": 1,
        "published": 1,
        "without_mask": 0,
        "without_geometry": 0,
        "without_confidence": 0,
    }


def test_an_organised_cloud_keeps_its_points(start, probe):
    node = start(source="cloud", topic="/camera/points", classes="[box]")
    robot = Robot(probe, PointCloud2, "/camera/points").connect(node)
    depth, mask = scene()
    robot.send_mask(at=40)
    robot.send_cloud(40, records(places(depth), others=[("intensity", "<f4")]))
    points = read_cloud(robot.received())
    np.testing.assert_array_equal(xyz(points), np.where((mask == BOX)[..., None], places(depth), np.nan))
    np.testing.assert_array_equal(points["label"], mask)
    assert points.dtype.names == ("x", "y", "z", "rgb", "label", "intensity")


def test_a_lidar_takes_the_nearest_mask(start, probe):
    node = start(
        source="lidar",
        topic="/lidar/points",
        info_topic="/camera/camera_info",
        transform=f"'{POSE}'",
        drop_outside="true",
    )
    robot = Robot(probe, PointCloud2, "/lidar/points", "/camera/camera_info").connect(node)
    depth, mask = scene()
    x, y, z = np.moveaxis(places(depth).reshape(-1, 3), -1, 0)
    points = records(np.stack([z + 0.25, -x, -(y + 0.5)], axis=-1)[None])
    robot.send_mask(at=10, mask=np.full_like(mask, WALL))
    robot.send_cloud(30, points, frame="lidar")
    robot.send_cloud(200, points, frame="lidar")
    robot.send_mask(at=40)
    robot.send_mask(at=251)
    found = robot.received()
    assert found.header == robot.header(30, "lidar")
    np.testing.assert_array_equal(read_cloud(found)["label"][0], mask.ravel())
    probe.spin_until(lambda: node.counts["without_mask"], "the cloud too far from every mask")
    assert node._apart_ns == 51_000_000


def test_depth_of_a_dropped_image_finds_no_mask(start, probe):
    node = start(waiting=2)
    robot = Robot(probe).connect(node)
    robot.send_mask(at=0)
    robot.send_depth(at=40)
    robot.send_depth(at=80)
    robot.send_mask(at=80)
    assert robot.received().header == robot.header(80)
    assert (node.counts["without_mask"], node._apart_ns) == (1, 40_000_000)
    for at in (120, 160):  # of three masks the first, at 0, has to leave
        robot.send_mask(at)
    probe.spin_until(lambda: node.counts["without_geometry"] == 1, "the mask that was not needed")


def test_confidence_is_joined_where_it_is_wanted(start, probe):
    node = start(confidence="true", waiting=1)
    robot = Robot(probe).connect(node, confidence=True)
    confidence = np.arange(HEIGHT * WIDTH, dtype=np.uint8).reshape(HEIGHT, WIDTH)
    robot.send_mask(at=0)  # whose confidence gets lost
    for at in (40, 80):
        robot.send_mask(at)
    probe.spin_until(lambda: node.counts["masks"] == 3, "the masks")
    robot.confidence.publish(Image(header=robot.header(80), **image_fields(confidence, "mono8")))
    robot.send_depth(at=80)
    np.testing.assert_array_equal(read_cloud(robot.received())["confidence"], confidence)
    assert node.counts["without_confidence"] == 2


@pytest.mark.slow
def test_nothing_is_received_while_nobody_listens(start, probe):
    node = start(confidence="true")
    robot = Robot(probe, listen=False)
    publishers = (robot.mask, robot.confidence, robot.geometry)
    probe.spin_until(lambda: node._classes and robot.info.get_subscription_count(), "palette and calibration")
    status = state_of(probe)
    assert (status.level, status.message) == (
        DiagnosticStatus.OK,
        "nobody subscribes to /pointed/points: nothing is computed",
    )
    assert [publisher.get_subscription_count() for publisher in publishers] == [0, 0, 0]
    robot.listen()
    robot.connect(node, confidence=True)
    probe.drop(robot.points)
    probe.spin_until(
        lambda: not any(publisher.get_subscription_count() for publisher in publishers),
        "the end of subscriptions",
    )


def test_several_cameras_and_robots(start, probe):
    node = start(camera="front", source="lidar", transform=f"'{POSE}'")
    robot = Robot(
        probe, PointCloud2, "/pointed/lidar/points", "/pointed/front/camera_info", prefix="/pointed/front"
    ).connect(node)
    robot.send_mask(at=0)
    robot.send_cloud(0, records(np.float32([[[2.25, 0.5, -0.5]]])))
    # at pixel (2.5, 2.5), of which the next one counts
    assert read_cloud(robot.received())["label"][0, 0] == BOX


class Buffer:
    """Stands for tf2_ros's: the lidar's pose, of /tf_static."""

    asked = []

    def lookup_transform(self, target, source, time):
        self.asked.append((target, source, time.nanoseconds))
        if source != "lidar":
            raise LookupError("it does not exist")
        numbers = dict(zip(("tx", "ty", "tz", "x", "y", "z", "w"), map(float, POSE.split())))
        vector = type("Vector3", (), {name: numbers[f"t{name}"] for name in "xyz"})
        quaternion = type("Quaternion", (), {name: numbers[name] for name in "xyzw"})
        return type(
            "TransformStamped",
            (),
            {"transform": type("Transform", (), {"translation": vector, "rotation": quaternion})},
        )


def test_transforms_of_tf(monkeypatch):
    monkeypatch.setattr(transforms, "Buffer", Buffer)
    monkeypatch.setattr(transforms, "TransformListener", lambda buffer, node: None, raising=False)
    monkeypatch.setattr(transforms, "TransformException", LookupError, raising=False)
    tf = TfTransforms(None)
    found, fixed = (
        tf.lookup(FRAME, "lidar", Time(sec=3, nanosec=5)),
        FixedTransform(POSE).lookup("", "", Time()),
    )
    np.testing.assert_array_equal(found.rotation, fixed.rotation)
    np.testing.assert_array_equal(found.translation, fixed.translation)
    assert Buffer.asked == [(FRAME, "lidar", 3_000_000_005)]
    with pytest.raises(
        PointsError,
        match="^no transform from 'nowhere' to 'optical_frame' .it does not exist.: publish it on /tf",
    ):
        tf.lookup(FRAME, "nowhere", Time())


def test_a_lidar_without_a_transform_is_counted(probe):
    class Unknown:
        def lookup(self, target, source, stamp):
            raise PointsError("transform", f"no transform from {source!r} to {target!r}")

    node = PointsNode(
        Unknown(),
        context=probe.context,
        cli_args=["--ros-args", "-r", "__ns:=/pointed", *arguments(source="lidar", info_topic="/info")],
    )
    probe.add(node)
    robot = Robot(probe, PointCloud2, "/pointed/lidar/points", "/info").connect(node)
    robot.send_mask(at=0)
    robot.send_cloud(0, records(np.zeros((1, 1, 3))), frame="lidar")
    assert refused(probe, node, "transform") == "no transform from 'lidar' to 'optical_frame'"
    node.destroy_node()


def test_without_tf_it_ends_with_one_line(processes):
    if transforms.Buffer is not None:
        pytest.skip("tf2_ros is installed")
    node = processes("points", "-p", "source:=lidar")
    assert node.wait() == 1
    assert "tf2_ros is not installed: install ros-" in node.text() and "Traceback" not in node.text()


def test_what_goes_out_is_reliable_and_qos_can_be_overridden(start, probe):
    start(
        **{
            "qos_overrides./pointed/points.publisher.depth": 2,
            "qos_overrides./pointed/mask.subscription.reliability": "reliable",
        }
    )
    robot = Robot(probe)
    probe.spin_until(lambda: robot.mask.get_subscription_count() > 0, "a subscription of masks")
    policy = lambda found: [one.qos_profile.reliability for one in found]
    assert policy(probe.node.get_publishers_info_by_topic("/pointed/points")) == [ReliabilityPolicy.RELIABLE]
    assert policy(probe.node.get_subscriptions_info_by_topic("/pointed/mask")) == [ReliabilityPolicy.RELIABLE]
    assert policy(probe.node.get_subscriptions_info_by_topic("/pointed/camera/depth/image_raw")) == [
        ReliabilityPolicy.BEST_EFFORT
    ]


@pytest.mark.slow
def test_the_command_in_a_process_of_its_own(probe, processes):
    node = processes(
        "points",
        *("-r", "__ns:=/pointed", "-p", "topic:=camera/aligned_depth", "-p", "sync:=nearest"),
        installed=True,
    )
    robot = Robot(
        probe, topic="/pointed/camera/aligned_depth", info="/pointed/camera/camera_info", listen=False
    )
    robot.points = probe.collect(
        PointCloud2, "/pointed/points", QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
    )
    node.wait_for_text("depth /pointed/camera/aligned_depth and /pointed/mask -> /pointed/points")
    stamps = itertools.count(0, 40)

    def send():
        at = next(stamps)
        robot.send_info()
        robot.send_depth(at)
        robot.send_mask(at + 1)
        return robot.points

    probe.spin_until(send, "points")  # one end or the other may not have heard of it yet
    np.testing.assert_array_equal(xyz(read_cloud(robot.points[0])), places(scene()[0]))
    node.signal(signal.SIGINT)
    assert node.wait() == 0 and "Traceback" not in node.text(), node.text()
