"""Nodes that commands start: whose masks are whose."""

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import Image

from dcfm_ros.ros.child import Child, ChildError, refuse_company, wait_until_active

pytestmark = pytest.mark.usefixtures("other_domain")


@pytest.fixture
def listener():
    context = rclpy.Context()
    context.init()
    node = rclpy.create_node("listener", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    yield node, executor
    executor.shutdown()
    node.destroy_node()
    context.shutdown()


def test_a_segmenter_beside_ours_is_company(listener):
    node, executor = listener
    node.create_publisher(Image, "/masks", 1)
    refuse_company(node, executor, "/masks", "soak", ours=1)
    with pytest.raises(ChildError, match="another segmenter publishes /masks here: stop it, or give soak its own ROS_DOMAIN_ID"):
        refuse_company(node, executor, "/masks", "soak")
    node.create_publisher(Image, "/masks", 1)
    with pytest.raises(ChildError, match="another segmenter"):
        refuse_company(node, executor, "/masks", "soak", ours=1)


def test_a_palette_of_another_segmenter_does_not_make_ours_active(listener, tmp_path):
    segmenter = Child("segmenter", tmp_path, ["-p", "model:=no_such_model"])
    try:
        with pytest.raises(ChildError, match="(?s)did not become active.*no_such_model"):
            wait_until_active(segmenter, listener[1], lambda: True)
    finally:
        segmenter.stop()
