# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parameters file of `dcfm plan` is what the segmenter reads."""

from datetime import date

import pytest
from helpers import write_tiny_model
from plan_helpers import COSTS, measured

from dcfm_ros.benchmark.plan.parameters_file import parameters_text
from dcfm_ros.benchmark.plan.schedule import Costs
from dcfm_ros.benchmark.plan.verdict import row_of
from dcfm_ros.pipeline.settings import Mode, SchedulerConfig
from dcfm_ros.ros.camera_parameters import read_cameras
from dcfm_ros.ros.parameters import read_pipeline, value_of
from dcfm_ros.ros.segmenter_node import SegmenterNode
from dcfm_ros.ros.yaml_text import as_yaml


@pytest.fixture
def node_of(probe, tmp_path):
    """Returns a node with the parameters file of a measurement."""
    nodes = []

    def make(*made, **changes):
        path = tmp_path / "params.yaml"
        path.write_text(
            parameters_text(row_of(measured(*made, **changes)), "dcfm plan", date(2026, 11, 30), as_yaml)
        )
        arguments = ["--ros-args", "-r", "__ns:=/robot1/dcfm", "--params-file", str(path)]
        nodes.append(SegmenterNode(context=probe.context, cli_args=arguments))
        return nodes[-1]

    yield make
    for node in nodes:
        node.destroy_node()


def test_of_a_camera(node_of):
    node = node_of()
    assert read_pipeline(node).scheduler == SchedulerConfig(2, 3, keyframe_budget_hz=3.5)
    assert read_pipeline(node).mode is Mode.ASYNC
    assert [value_of(node, name) for name in ("model", "backend", "precision")] == [
        "street11",
        "auto",
        "auto",
    ]


def test_of_cameras_with_another_model(node_of, tmp_path):
    folder = write_tiny_model(tmp_path / 'yes: "ä"')  # what YAML could take for something else
    node = node_of(COSTS, {"model": str(folder), "cameras": 2, "mask_size": "1/2", "precision": "f32"})
    assert value_of(node, "model") == str(folder) and read_pipeline(node).mask_size == "1/2"
    cameras = read_cameras(node)
    assert [camera.name for camera in cameras] == ["camera1", "camera2"]
    assert [camera.image_topic for camera in cameras] == [
        "/robot1/camera1/image_raw",
        "/robot1/camera2/image_raw",
    ]


def test_of_a_per_frame_model_and_of_every_frame_a_keyframe(node_of):
    node = node_of(Costs(0.02, 0.0, 0.0, 0.005, per_frame=True))
    assert read_pipeline(node).scheduler == SchedulerConfig()
    node = node_of(Costs(0.001, 0.001, 100.0, 0.001))
    assert read_pipeline(node).scheduler == SchedulerConfig(1, 1)
