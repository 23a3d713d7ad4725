# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The launch file with the real `launch`, and the parameters file that it gives to the node."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ament_index_python.packages import get_package_share_directory
from rclpy.node import Node
from ros_helpers import DEADLINE_S, Camera

from dcfm_ros.pipeline.settings import BACKENDS, PRECISIONS, Mode
from dcfm_ros.ros.camera_parameters import read_cameras
from dcfm_ros.ros.parameters import value_of
from dcfm_ros.ros.segmenter_node import SegmenterNode

SHARE = Path(get_package_share_directory("dcfm_ros"))
LAUNCH = SHARE / "launch" / "segment.launch.py"
PARAMS = SHARE / "config" / "segmenter.yaml"
# What the Python of a distribution's `ros2` does not have, or what would make every launch slow.
HEAVY = ("torch", "numba", "numpy", "cv2", "rclpy", "openvino")


@pytest.fixture
def launch():
    for name in ("launch", "launch_ros"):
        pytest.importorskip(name, reason=f"{name} is not installed (it is not on PyPI)")
    specification = importlib.util.spec_from_file_location("segment_launch", LAUNCH)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def described(launch):
    """`described(**arguments)`: the nodes that the launch file starts, and the files with each node's
    parameters."""
    from launch.actions import OpaqueFunction
    from launch_ros.utilities import evaluate_parameters

    from launch import LaunchContext

    made = []

    def describe(**arguments):
        context = LaunchContext()
        context.launch_configurations.update(arguments)
        before, nodes = dict(context.environment), []
        for entity in launch.generate_launch_description().entities:
            found = entity.execute(context)
            nodes += found if isinstance(entity, OpaqueFunction) else []
        assert context.environment == before  # of the including launch file, too
        files = [
            [str(file) for file in evaluate_parameters(context, node._Node__parameters)] for node in nodes
        ]
        made.extend(Path(file) for files in files for file in files if "launch_params_" in file)
        return nodes, files

    yield describe
    for path in made:
        path.unlink()


def read(probe, files, names, node="segmenter", namespace="/dcfm"):
    """Read a node's parameters from these files, like rcl."""
    arguments = [part for file in files for part in ("--params-file", file)]
    reader = Node(node, namespace=namespace, context=probe.context, cli_args=["--ros-args", *arguments])
    try:
        overrides = reader._parameter_overrides
        assert set(overrides) - {"use_sim_time"} == set(names) - {"use_sim_time"}
        return {name: overrides[name].value for name in names}
    finally:
        reader.destroy_node()


def test_every_argument_says_what_it_is_for(launch):
    arguments = {argument.name: argument for argument in launch.ARGUMENTS}
    assert set(arguments) == {
        "image",
        "cameras",
        "model",
        "backend",
        "device",
        "precision",
        "mode",
        "mask_size",
        "class_map",
        "params",
        "namespace",
        "name",
        "autostart",
        "use_sim_time",
        "log_level",
        "respawn",
        "viewer",
        "enclaves",
    }
    assert all(argument.description for argument in arguments.values())
    choices = {name: argument.choices for name, argument in arguments.items()}
    assert choices["backend"] == ["", *BACKENDS] and choices["precision"] == ["", *PRECISIONS]
    assert choices["mode"] == ["", *(mode.value for mode in Mode)]


def test_what_is_not_given_is_left_to_the_parameters_file(described):
    (node,), (files,) = described()
    assert (node.node_package, node.node_executable) == ("dcfm_ros", "segmenter")
    assert list(map(Path, files)) == [PARAMS]


@pytest.mark.parametrize(
    "texts",
    [("20260101", "1e5"), ("y", "on"), ("a b #c", "'x' \"y\": z"), ("ü", "no"), ("🚗\x7f", "a\nb\u2028")],
)
def test_arguments_become_parameters_of_their_type(described, probe, texts):
    """Names stay text, also those that YAML reads as numbers and booleans; they count more than the user's
    file."""
    model, image = texts
    given = {
        "image_topic": image,
        "model": model,
        "mode": "sync",
        "backend": "torch",
        "device": "cuda:1",
        "precision": "f32",
        "autostart": False,
        "use_sim_time": True,
    }
    _, (files,) = described(
        **{
            **{("image" if name == "image_topic" else name): value for name, value in given.items()},
            "autostart": "false",
            "use_sim_time": "True",
        }
    )
    assert read(probe, files, given) == given


def test_names_of_cameras_stay_text(described, probe):
    _, (files,) = described(cameras="on, y", params="")
    assert read(probe, files, ["cameras"]) == {"cameras": ["on", "y"]}


def test_they_count_more_than_a_file_that_names_the_node(described, probe, tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("/robot1/dcfm/second:\n  ros__parameters: {model: file, threshold: 1.0}\n")
    _, (files,) = described(params=str(path), model="given", name="second", ros_namespace="robot1")
    assert read(probe, files, ["model", "threshold"], "second", "/robot1/dcfm") == {
        "model": "given",
        "threshold": 1.0,
    }


def test_the_viewer_is_told_which_segmenter(described, probe):
    nodes, (_, files) = described(viewer="drive.rrd", name="second", use_sim_time="true")
    assert [node.node_executable for node in nodes] == ["segmenter", "viewer"]
    values = {"target": "drive.rrd", "segmenter": "second", "use_sim_time": True}
    assert read(probe, files, values, "viewer") == values


def test_each_node_gets_the_enclave_of_its_name(described):
    """SROS 2: docs/security.md."""
    nodes, _ = described(viewer="drive.rrd", name="second", enclaves="/dcfm/")
    given = [node._Node__ros_arguments for node in nodes]
    assert [words[words.index("--enclave") + 1] for words in given] == ["/dcfm/second", "/dcfm/viewer"]
    (node,), _ = described(enclaves="")
    assert "--enclave" not in node._Node__ros_arguments


def test_both_nodes_are_in_the_namespace_that_is_pushed(described):
    from launch_ros.actions import PushRosNamespace

    from launch import LaunchContext

    nodes, _ = described(viewer="rerun", namespace="seg")
    context = LaunchContext()
    PushRosNamespace("robot1").execute(context)
    for node in nodes:
        node._perform_substitutions(context)
        assert node.expanded_node_namespace == "/robot1/seg"


def test_what_a_bringup_leaves_empty_is_as_by_default(described):
    """A bringup's own arguments of the same names reach the launch file, which they include without a
    word."""
    (node,), (files,) = described(namespace="", name="", log_level="", respawn="", params="")
    assert node._Node__node_namespace == "dcfm" and files == []


def test_a_parameters_file_that_is_missing_ends_the_launch(described):
    with pytest.raises(RuntimeError, match="params:=/no/such.yaml: there is no such parameters file"):
        described(params="/no/such.yaml")


def test_a_misspelt_argument_is_told(described, launch, monkeypatch):
    told = []
    logger = type("Logger", (), {"warning": lambda self, text: told.append(text)})()
    monkeypatch.setattr(launch, "get_logger", lambda name: logger)
    described(imgae="/camera/image_raw", robot="one")
    assert told == ["unknown argument imgae: do you mean image?"]


def test_one_image_topic_for_several_cameras_is_refused(described):
    with pytest.raises(
        RuntimeError, match="image:=/a is for one camera, and cameras:=front,rear names several"
    ):
        described(image="/a", cameras="front,rear")


def _without_heavy_libraries(code: str) -> subprocess.CompletedProcess:
    block = f"import sys\nfor name in {HEAVY!r}: sys.modules[name] = None\n"
    return subprocess.run(
        [sys.executable, "-c", block + code], capture_output=True, text=True, timeout=DEADLINE_S
    )


def test_what_the_launch_file_takes_from_the_package_needs_nothing_heavy():
    done = _without_heavy_libraries(
        "from dcfm_ros.pipeline.settings import BACKENDS, DEVICES, PRECISIONS, Mode"
    )
    assert done.returncode == 0, done.stderr


def test_the_launch_file_can_be_described_without_heavy_libraries(launch):
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"""
import sys
import launch_ros.actions   # brings rclpy's checks of names along
for name in {HEAVY!r}:
    for loaded in [loaded for loaded in sys.modules if loaded == name or loaded.startswith(name + ".")]:
        del sys.modules[loaded]
    sys.modules[name] = None
import runpy
from launch import LaunchContext
description = runpy.run_path({str(LAUNCH)!r})["generate_launch_description"]()
context = LaunchContext()
for entity in description.entities:
    entity.execute(context)
""",
        ],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def ros2():
    """The command `ros2`, on whatever Python it has."""
    found = shutil.which("ros2")
    if (
        found is None
        or subprocess.run([found, "launch", "--help"], capture_output=True, timeout=DEADLINE_S).returncode
        != 0
    ):
        pytest.skip("`ros2 launch` is not installed (it is not on PyPI)")
    return found


def test_ros2_launch_shows_the_arguments(ros2):
    done = subprocess.run(
        [ros2, "launch", "dcfm_ros", "segment.launch.py", "--show-args"],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    assert done.returncode == 0, done.stderr
    assert "'image':" in done.stdout and "'namespace':" in done.stdout


def test_ros2_launch_starts_it_for_two_robots(ros2, model, probe, tmp_path):
    """A bringup that includes the file twice: each robot has its own camera, parameters and masks, and ends
    at Ctrl-C."""
    (tmp_path / "params.yaml").write_text(
        f"/**/segmenter:\n  ros__parameters: {{model: {model}, backend: torch, threshold: 0.5}}\n"
    )
    (tmp_path / "bringup.launch.py").write_text(f"""
from launch import LaunchDescription
from launch.actions import GroupAction, IncludeLaunchDescription
from launch_ros.actions import PushRosNamespace
def generate_launch_description():
    def robot(name, **arguments):
        arguments["params"] = {str(tmp_path / "params.yaml")!r}
        return GroupAction([PushRosNamespace(name), IncludeLaunchDescription({str(LAUNCH)!r}, launch_arguments=arguments.items())])
    return LaunchDescription([robot("robot1"), robot("robot2", image="front/image")])
""")
    log = tmp_path / "log"
    with log.open("w") as output:
        started = subprocess.Popen(
            [ros2, "launch", str(tmp_path / "bringup.launch.py")],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "ROS_LOG_DIR": str(tmp_path)},
            start_new_session=True,
        )
    try:
        for robot, topic in (("robot1", "/robot1/camera/image_raw"), ("robot2", "/robot2/front/image")):
            camera = Camera(probe, topic, f"/{robot}/dcfm").connect()
            camera.segment()
            status = probe.diagnostic(topic)
            assert status.name == f"/{robot}/dcfm/segmenter: camera" and status.values["threshold"] == "0.500"
        os.killpg(started.pid, signal.SIGINT)
        assert started.wait(DEADLINE_S) == 0, log.read_text()
    finally:
        if started.poll() is None:
            os.killpg(started.pid, signal.SIGKILL)
    assert "Traceback" not in log.read_text(), log.read_text()


def _node(probe, path, *arguments):
    return SegmenterNode(
        context=probe.context, cli_args=["--ros-args", *arguments, "--params-file", str(path)]
    )


@pytest.mark.parametrize(
    "arguments", [(), ("-r", "__ns:=/robot1/dcfm"), ("-r", "__ns:=/robot1", "-r", "__node:=other")]
)
def test_the_parameters_file_applies_in_any_namespace(probe, tmp_path, arguments):
    path = tmp_path / "params.yaml"
    path.write_text(PARAMS.read_text() + "    threshold: 0.5\n")
    node = _node(probe, path, *arguments)
    try:
        wanted = yaml.safe_load(path.read_text())["/**"]["ros__parameters"]
        assert {name: node.get_parameter(name).value for name in wanted} == wanted
    finally:
        node.destroy_node()


@pytest.mark.parametrize(
    "key", ["/**", "/**/segmenter", "/*/dcfm/segmenter", "/robot1/dcfm/segmenter", "/robot1/**"]
)
def test_the_forms_of_names_that_rcl_reads(probe, tmp_path, key):
    path = tmp_path / "params.yaml"
    path.write_text(f"{key}:\n  ros__parameters: {{threshold: 1, silence_s: 3}}\n")
    node = _node(probe, path, "-r", "__ns:=/robot1/dcfm")
    try:
        assert (value_of(node, "threshold"), value_of(node, "silence_s")) == (1.0, 3.0)
    finally:
        node.destroy_node()


def test_the_comments_of_the_parameters_file_are_right_too(probe, tmp_path):
    """Everything that is commented out in it, switched on."""
    text = PARAMS.read_text()
    switched_on = [
        line.replace("    # ", "    ", 1)
        for line in text.splitlines()
        if line.startswith("    # ") and ": " in line
    ]
    settings = [line for line in switched_on if " " not in line.strip().split(":")[0]]
    assert len(settings) == 4
    path = tmp_path / "all.yaml"
    path.write_text("\n".join(["/**:", "  ros__parameters:", *settings]))
    node = _node(probe, path)
    try:
        assert [(c.name, c.image_topic, c.transport) for c in read_cameras(node)] == [
            ("front", "/front/image_raw", "raw"),
            ("rear", "/rear/image_raw/compressed", "compressed"),
        ]
    finally:
        node.destroy_node()
