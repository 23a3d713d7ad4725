# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Nodes that commands start: whose masks are whose."""

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import Image

from dcfm_ros.ros.tools.node_process import (
    NodeProcess,
    NodeProcessError,
    ensure_only_segmenter,
    ros_parameters,
    wait_until_active,
)

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


def test_settings_reach_a_node_as_they_are():
    """Whatever YAML would make of them unquoted: numbers, booleans, comments, mappings."""
    settings = {
        "date": "20260101",
        "switch": "on",
        "file": "notes.txt #2",
        "map": "a: 'b' \"c\"",
        "path": "füße/ä",
        "empty": "",
        "signs": " \\ % $HOME ~ {x} [y] `z` 🚗 ",
        "lines": "a\n\tb\r",
        "control": "\x01\x1b\x7f\x85\u2028\ufeff",
        "zero": "0x10",
        "rate": 15.0,
        "frames": 3,
        "loop": False,
        "names": ["on", "y"],
    }
    context = rclpy.Context()
    context.init()
    node = rclpy.create_node("child", context=context, cli_args=["--ros-args", *ros_parameters(settings)])
    try:
        assert {
            name: node.declare_parameter(name, type(value)(value)).value for name, value in settings.items()
        } == settings
    finally:
        node.destroy_node()
        context.shutdown()


def test_a_name_that_is_not_utf_8_is_refused():
    with pytest.raises(
        ValueError, match=r'"dr\udce4ve.mp4" is not UTF-8, which parameters of ROS must be: rename it'
    ):
        ros_parameters({"source": "dr\udce4ve.mp4"})


@pytest.mark.slow
def test_a_segmenter_beside_ours_is_company(listener):
    node, executor = listener
    node.create_publisher(Image, "/masks", 1)
    ensure_only_segmenter(node, executor, "/masks", "soak", ours=1)
    with pytest.raises(
        NodeProcessError,
        match="another segmenter publishes /masks here: stop it, or give soak its own ROS_DOMAIN_ID",
    ):
        ensure_only_segmenter(node, executor, "/masks", "soak")
    node.create_publisher(Image, "/masks", 1)
    with pytest.raises(NodeProcessError, match="another segmenter"):
        ensure_only_segmenter(node, executor, "/masks", "soak", ours=1)


@pytest.mark.slow
def test_a_palette_of_another_segmenter_does_not_make_ours_active(listener, tmp_path):
    segmenter = NodeProcess("segmenter", tmp_path, ["-p", "model:=no_such_model"])
    try:
        with pytest.raises(NodeProcessError, match="(?s)did not become active.*no_such_model"):
            wait_until_active(segmenter, listener[1], lambda: True)
    finally:
        segmenter.stop()
