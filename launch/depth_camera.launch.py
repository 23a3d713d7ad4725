# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Masks and labelled points of a depth camera whose depth is registered to its colour image:
ros2 launch dcfm_ros depth_camera.launch.py camera:=/camera/camera; all arguments: --show-args.

Takes the arguments of segment.launch.py as well, such as class_map:=traversable.
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from launch import LaunchDescription


def text(*parts):
    """A parameter that stays a string, whatever YAML would make of it."""
    return ParameterValue(list(parts), value_type=str)


def points(context):
    enclaves = LaunchConfiguration("enclaves", default="").perform(context)
    return [
        Node(
            package="dcfm_ros",
            executable="points",
            name="points",
            namespace=LaunchConfiguration("namespace"),
            output="screen",
            parameters=[{"topic": text(LaunchConfiguration("camera"), "/", LaunchConfiguration("depth"))}],
            ros_arguments=["--enclave", f"{enclaves.rstrip('/')}/points"] if enclaves else None,
        )
    ]


def generate_launch_description():
    camera, namespace = LaunchConfiguration("camera"), LaunchConfiguration("namespace")
    segmenter = Path(get_package_share_directory("dcfm_ros")) / "launch" / "segment.launch.py"
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "camera", default_value="/camera/camera", description="above the camera's topics"
            ),
            DeclareLaunchArgument("color", default_value="color/image_raw", description="its colour image"),
            DeclareLaunchArgument(
                "depth",
                default_value="aligned_depth_to_color/image_raw",
                description="its depth, registered to that",
            ),
            DeclareLaunchArgument(
                "namespace", default_value="dcfm", description="of the nodes and their topics"
            ),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(segmenter)),
                launch_arguments={
                    "image": [camera, "/", LaunchConfiguration("color")],
                    "namespace": namespace,
                }.items(),
            ),
            OpaqueFunction(function=points),
        ]
    )
