# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The segmenter: ros2 launch dcfm_ros segment.launch.py image:=/camera/image_raw; all arguments: --show-args.

Runs in the interpreter of `ros2`, where PyTorch and NumPy need not be installed: nothing that needs them may
be imported here. An argument that is left empty leaves the parameters file in charge. Changes nothing outside
of its own nodes.
"""

from difflib import get_close_matches
from pathlib import Path
from tempfile import NamedTemporaryFile

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.logging import get_logger
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node
from launch_ros.utilities import make_namespace_absolute, prefix_namespace

from dcfm_ros.pipeline.settings import NetworkSettings, PipelineConfig
from dcfm_ros.ros.yaml_text import as_yaml
from dcfm_ros.setting_fields import choices_of, setting_of
from launch import LaunchDescription

SHARE = Path(get_package_share_directory("dcfm_ros"))
BOOLEANS = ("true", "false", "True", "False")


def optional(name, description, choices=()):
    """An argument that may be left empty."""
    return DeclareLaunchArgument(
        name, default_value="", description=description, choices=["", *choices] if choices else None
    )


def setting(kind, name):
    """An argument that is a setting, with its description and choices, which `--show-args` lists. Empty
    leaves it to the parameters file, whatever the setting means by it."""
    _, about = setting_of(kind, name)
    return optional(name, about.description.partition("; empty:")[0], choices_of(kind, name))


ARGUMENTS = [
    optional(
        "image",
        "image topic of the camera; a relative one begins in the robot's namespace, above `namespace`",
    ),
    optional(
        "cameras",
        "names of several cameras, separated by commas; their topics: NAME/image_raw, or as the file says",
    ),
    *[setting(NetworkSettings, name) for name in ("model", "backend", "device", "precision")],
    *[setting(PipelineConfig, name) for name in ("mode", "mask_size")],
    setting(NetworkSettings, "class_map"),
    DeclareLaunchArgument(
        "params", default_value=str(SHARE / "config" / "segmenter.yaml"), description="parameters file"
    ),
    DeclareLaunchArgument(
        "namespace", default_value="dcfm", description="of the node and its topics, below one that is pushed"
    ),
    DeclareLaunchArgument("name", default_value="segmenter", description="of the node"),
    optional("autostart", "configure and activate at once; false leaves it to a lifecycle manager", BOOLEANS),
    optional("use_sim_time", "take the time from /clock", BOOLEANS),
    optional(
        "log_level",
        "what the node's log begins with; empty: info",
        ["debug", "info", "warn", "error", "fatal"],
    ),
    optional("respawn", "start the node again where its process ends", BOOLEANS),
    optional("viewer", "show it in the Rerun viewer: rerun, rerun:web, or a file to write, FILE.rrd"),
    optional(
        "enclaves", "SROS 2: where in the keystore the enclaves are, such as /dcfm; each has its node's name"
    ),
]
# The segmenter's parameters by their arguments: text, and what is true or false.
TEXTS = {
    "image": "image_topic",
    **{name: name for name in ("model", "backend", "device", "precision", "mode", "mask_size", "class_map")},
}
SWITCHES = ("autostart", "use_sim_time")


def parameters_file(context, namespace, name, values):
    """A file with these parameters of one node, which then come before those of the user's file.

    Launch's own files leave names such as y and 1e5 without quotes, and the node reads other things.
    """
    namespace = make_namespace_absolute(
        prefix_namespace(context.launch_configurations.get("ros_namespace"), namespace)
    )
    text = as_yaml({prefix_namespace(namespace, name): {"ros__parameters": values}})
    with NamedTemporaryFile(
        "w", encoding="utf-8", prefix="launch_params_", suffix=".yaml", delete=False
    ) as file:
        file.write(text)
    return file.name


def warn_of_misspelt(context):
    """Launch takes any argument without a word; others may be meant for the file that includes this one."""
    names = [argument.name for argument in ARGUMENTS]
    for name in sorted({*context.launch_configurations} - {*names}):
        if close := get_close_matches(name, names, 1, 0.7):
            get_logger("segment.launch.py").warning(f"unknown argument {name}: do you mean {close[0]}?")


def nodes(context):
    warn_of_misspelt(context)
    given = {argument.name: LaunchConfiguration(argument.name).perform(context) for argument in ARGUMENTS}
    given = {
        "namespace": "dcfm",
        "name": "segmenter",
        **{name: value for name, value in given.items() if value},
    }
    if "params" in given and not Path(given["params"]).is_file():
        raise RuntimeError(f"params:={given['params']}: there is no such parameters file")
    if "image" in given and "cameras" in given:
        raise RuntimeError(
            f"image:={given['image']} is for one camera, and cameras:={given['cameras']} names several: give "
            "their topics as NAME.image_topic in a parameters file"
        )
    values = {parameter: given[name] for name, parameter in TEXTS.items() if name in given}
    values |= {name: given[name].lower() == "true" for name in SWITCHES if name in given}
    if "cameras" in given:
        values["cameras"] = [name.strip() for name in given["cameras"].split(",") if name.strip()]
    files = [given["params"]] if "params" in given else []
    files += [parameters_file(context, given["namespace"], given["name"], values)] if values else []
    common = {"package": "dcfm_ros", "namespace": given["namespace"], "output": "screen"}

    def ros_arguments(name):
        enclave = ["--enclave", f"{given['enclaves'].rstrip('/')}/{name}"] if "enclaves" in given else []
        return ["--log-level", given.get("log_level", "info"), *enclave]

    started = [
        LifecycleNode(
            executable="segmenter",
            name=given["name"],
            parameters=files,
            ros_arguments=ros_arguments(given["name"]),
            respawn=given.get("respawn", "").lower() == "true",
            respawn_delay=2.0,
            **common,
        )
    ]
    if "viewer" in given:
        viewer = {"target": given["viewer"], "segmenter": given["name"]}
        if "use_sim_time" in values:
            viewer["use_sim_time"] = values["use_sim_time"]
        started.append(
            Node(
                executable="viewer",
                name="viewer",
                parameters=[parameters_file(context, given["namespace"], "viewer", viewer)],
                ros_arguments=ros_arguments("viewer"),
                **common,
            )
        )
    return started


def generate_launch_description():
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=nodes)])
