"""ros2 launch dcfm_ros segment.launch.py image:=/camera/image_raw [model:=...] [backend:=auto] [params:=...] [viewer:=rerun]"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node

from dcfm_ros.ros.parameters import settings_of
from dcfm_ros.ros.process import dds_environment

SHARE = Path(get_package_share_directory("dcfm_ros"))


def segmenter(context):
    """An argument that is left empty leaves the parameters file in charge."""
    given = {name: LaunchConfiguration(argument).perform(context)
             for argument, name in (("image", "image_topic"), ("model", "model"), ("backend", "backend"), ("mode", "mode"))}
    return [LifecycleNode(
        package="dcfm_ros", executable="segmenter", name="segmenter", namespace="dcfm", output="screen",
        parameters=[LaunchConfiguration("params").perform(context), {k: v for k, v in given.items() if v}],
    )]


def viewer(context):
    """None where the argument is empty. It finds the cameras where the segmenter does."""
    target, image, params = (LaunchConfiguration(name).perform(context) for name in ("viewer", "image", "params"))
    if not target:
        return []
    given = {"target": target, **({"image_topic": image} if image else {})}
    return [Node(
        package="dcfm_ros", executable="viewer", name="viewer", namespace="dcfm", output="screen",
        parameters=[params, {**settings_of("/dcfm/segmenter", params), **given}],
    )]


def generate_launch_description():
    return LaunchDescription([
        DeclareLaunchArgument("image", default_value="", description="image topic of the camera"),
        DeclareLaunchArgument("model", default_value="", description="built-in model name or model folder"),
        DeclareLaunchArgument("backend", default_value="", description="auto, torch or openvino"),
        DeclareLaunchArgument("mode", default_value="", description="async, sync or two_sided"),
        DeclareLaunchArgument("params", default_value=str(SHARE / "config" / "segmenter.yaml"),
                              description="parameters file"),
        DeclareLaunchArgument("viewer", default_value="",
                              description="show it in the Rerun viewer: rerun, rerun:web, or a file to write, FILE.rrd"),
        *[SetEnvironmentVariable(k, v) for k, v in dds_environment(SHARE / "config" / "fastdds.xml").items()],
        OpaqueFunction(function=segmenter),
        OpaqueFunction(function=viewer),
    ])
