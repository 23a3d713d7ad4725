"""The launch file, with the real `launch`; and the parameters file that it gives to the node."""

import importlib.util
from pathlib import Path

import pytest
import yaml
from ament_index_python.packages import get_package_share_directory
from ros_helpers import NODE

from dcfm_ros.ros.parameters import read_cameras, settings_of
from dcfm_ros.ros.segmenter_node import SegmenterNode

SHARE = Path(get_package_share_directory("dcfm_ros"))


@pytest.fixture
def described():
    """`described(**arguments)`: the actions of the launch file, with the segmenter's own resolved."""
    for name in ("launch", "launch_ros"):
        pytest.importorskip(name, reason=f"{name} is not installed (it is not on PyPI)")
    import launch
    from launch.actions import OpaqueFunction

    def describe(**arguments):
        context = launch.LaunchContext()
        specification = importlib.util.spec_from_file_location("segment_launch", SHARE / "launch" / "segment.launch.py")
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
        context.launch_configurations.update(arguments)
        found = []
        for entity in module.generate_launch_description().entities:
            found += entity.execute(context) or [] if isinstance(entity, OpaqueFunction) else [entity]
            if not isinstance(entity, OpaqueFunction):
                entity.execute(context)
        return found, context

    return describe


def test_arguments(described):
    from launch.actions import DeclareLaunchArgument
    actions, _ = described()
    arguments = {action.name: action for action in actions if isinstance(action, DeclareLaunchArgument)}
    assert set(arguments) == {"image", "model", "backend", "mode", "params", "viewer"}
    assert all(action.description for action in arguments.values())


def test_the_node(described):
    from launch_ros.actions import LifecycleNode
    from launch_ros.utilities import evaluate_parameters
    actions, context = described(image="/front/image", mode="sync")
    node, = [action for action in actions if isinstance(action, LifecycleNode)]
    assert (node.node_package, node.node_executable) == ("dcfm_ros", "segmenter")
    file, values = evaluate_parameters(context, node._Node__parameters)
    assert Path(file) == SHARE / "config" / "segmenter.yaml"
    assert values == {"image_topic": "/front/image", "mode": "sync"}
    assert context.environment["FASTRTPS_DEFAULT_PROFILES_FILE"].endswith("fastdds.xml")


def test_no_viewer_unless_asked_for(described):
    from launch_ros.actions import LifecycleNode, Node
    actions, _ = described()
    assert [action.node_executable for action in actions if isinstance(action, (LifecycleNode, Node))] == ["segmenter"]


def test_the_viewer_finds_the_cameras_where_the_segmenter_does(described, tmp_path):
    from launch_ros.actions import LifecycleNode, Node
    from launch_ros.utilities import evaluate_parameters
    params = tmp_path / "params.yaml"
    params.write_text(f"{NODE}:\n  ros__parameters:\n    image_topic: /from/file\n    cameras: [front, rear]\n"
                      "    front: {image_topic: /front/image}\n")
    for given, topic in (({}, "/from/file"), ({"image": "/given"}, "/given")):
        actions, context = described(viewer="drive.rrd", params=str(params), **given)
        node, = [action for action in actions if isinstance(action, Node) and not isinstance(action, LifecycleNode)]
        assert (node.node_package, node.node_executable) == ("dcfm_ros", "viewer")
        file, values = evaluate_parameters(context, node._Node__parameters)
        assert Path(file) == params
        assert values["target"] == "drive.rrd" and values["image_topic"] == topic
        assert list(values["cameras"]) == ["front", "rear"] and values["front.image_topic"] == "/front/image"


@pytest.mark.parametrize("text, found", [
    ("", {}), (f"{NODE}:\n", {}), (f"{NODE}: {{ros__parameters: {{a: 1}}}}", {"a": 1}), ("/other: {ros__parameters: {a: 1}}", {}),
])
def test_settings_of_a_node(tmp_path, text, found):
    (tmp_path / "params.yaml").write_text(text)
    assert settings_of(NODE, tmp_path / "params.yaml") == found


def test_the_parameters_file_is_read(probe):
    """By a node that is named as the file says, here without a process of its own."""
    path = SHARE / "config" / "segmenter.yaml"
    wanted = yaml.safe_load(path.read_text())[NODE]["ros__parameters"]
    node = SegmenterNode(context=probe.context, cli_args=["--ros-args", "--params-file", str(path)])
    try:
        assert {name: node.get_parameter(name).value for name in wanted} == wanted
    finally:
        node.destroy_node()


def test_the_comments_of_the_parameters_file_are_right_too(probe, tmp_path):
    """Everything that is commented out in it, switched on."""
    text = (SHARE / "config" / "segmenter.yaml").read_text()
    switched_on = [line.replace("    # ", "    ", 1) for line in text.splitlines() if line.startswith("    # ") and ": " in line]
    settings = [line for line in switched_on if " " not in line.strip().split(":")[0]]
    assert len(settings) == 4
    path = tmp_path / "all.yaml"
    path.write_text("\n".join([f"{NODE}:", "  ros__parameters:", *settings]))
    node = SegmenterNode(context=probe.context, cli_args=["--ros-args", "--params-file", str(path)])
    try:
        cameras = read_cameras(node)
        assert [(c.name, c.image_topic, c.compressed) for c in cameras] == [
            ("front", "/front/image_raw", False), ("rear", "/rear/image_raw/compressed", True)]
    finally:
        node.destroy_node()
