"""The segmenter: ros2 launch dcfm_ros segment.launch.py image:=/camera/image_raw; all arguments: --show-args.

Runs in the interpreter of `ros2`, where PyTorch and NumPy need not be installed: nothing that needs them may be imported here.
An argument that is left empty leaves the parameters file in charge. Changes nothing outside of its own nodes.
"""

from pathlib import Path
from typing import List

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node
from launch_ros.parameter_descriptions import ParameterValue

from dcfm_ros.pipeline.settings import BACKENDS, DEVICES, PRECISIONS, Mode
from dcfm_ros.ros.shared_memory import dds_environment

SHARE = Path(get_package_share_directory("dcfm_ros"))
BOOLEANS = ("true", "false", "True", "False")


def optional(name, description, choices=()):
    """An argument that may be left empty."""
    return DeclareLaunchArgument(name, default_value="", description=description, choices=["", *choices] if choices else None)


ARGUMENTS = [
    optional("image", "image topic of the camera; a relative one begins in the robot's namespace, above `namespace`"),
    optional("cameras", "names of several cameras, separated by commas; their topics: NAME/image_raw, or as the file says"),
    optional("model", "built-in model name, or a model folder"),
    optional("backend", "inference backend", BACKENDS),
    optional("device", f"device of the inference backend: {DEVICES}"),
    optional("precision", "of the networks' arithmetic", PRECISIONS),
    optional("mode", "when a keyframe's deep result is used", [mode.value for mode in Mode]),
    DeclareLaunchArgument("params", default_value=str(SHARE / "config" / "segmenter.yaml"), description="parameters file"),
    DeclareLaunchArgument("namespace", default_value="dcfm", description="of the node and its topics, below one that is pushed"),
    DeclareLaunchArgument("name", default_value="segmenter", description="of the node"),
    optional("autostart", "configure and activate at once; false leaves it to a lifecycle manager", BOOLEANS),
    optional("use_sim_time", "take the time from /clock", BOOLEANS),
    DeclareLaunchArgument("log_level", default_value="info", description="debug, info, warn, error or fatal",
                          choices=["debug", "info", "warn", "error", "fatal"]),
    DeclareLaunchArgument("respawn", default_value="false", description="start the node again where its process ends",
                          choices=list(BOOLEANS)),
    optional("viewer", "show it in the Rerun viewer: rerun, rerun:web, or a file to write, FILE.rrd"),
]
# The segmenter's parameters by their arguments. All are text but the last two: YAML would make numbers of some names.
TEXTS = {"image": "image_topic", **{name: name for name in ("model", "backend", "device", "precision", "mode")}}
SWITCHES = ("autostart", "use_sim_time")


def nodes(context):
    given = {argument.name: LaunchConfiguration(argument.name).perform(context) for argument in ARGUMENTS}
    given = {name: value for name, value in given.items() if value}
    if "params" in given and not Path(given["params"]).is_file():
        raise RuntimeError(f"params:={given['params']}: there is no such parameters file")
    switches = {name: given[name].lower() == "true" for name in SWITCHES if name in given}
    values = {TEXTS[name]: ParameterValue(value, value_type=str) for name, value in given.items() if name in TEXTS}
    if "cameras" in given:
        names = [name.strip() for name in given["cameras"].split(",") if name.strip()]
        values["cameras"] = ParameterValue(names, value_type=List[str])
    common = {
        "package": "dcfm_ros", "namespace": given.get("namespace", ""), "output": "screen",
        "ros_arguments": ["--log-level", given["log_level"]], "additional_env": dds_environment(SHARE / "config" / "fastdds.xml")}
    started = [LifecycleNode(
        executable="segmenter", name=given["name"], respawn=given["respawn"].lower() == "true", respawn_delay=2.0,
        parameters=[*([given["params"]] if "params" in given else []), {**values, **switches}], **common)]
    if "viewer" in given:
        started.append(Node(executable="viewer", name="viewer", parameters=[{
            "target": ParameterValue(given["viewer"], value_type=str), "segmenter": ParameterValue(given["name"], value_type=str),
            **{name: value for name, value in switches.items() if name == "use_sim_time"}}], **common))
    return started


def generate_launch_description():
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=nodes)])
