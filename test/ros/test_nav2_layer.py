# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What Nav2's semantic_segmentation_layer wants of its topics and parameters, by a stand-in that follows its
rules: best effort, depth 50; mask, confidence and cloud of one stamp and of as many pixels; every class that
    is published in a list."""

from pathlib import Path

import pytest
import yaml
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from ros_helpers import Camera, of, pixels
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from dcfm_ros.msg import ClassPalette

SENSOR = QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(
    depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL, reliability=ReliabilityPolicy.RELIABLE
)
CONFIG = Path(__file__).parents[2] / "config"


def layer():
    plain = yaml.safe_load((CONFIG / "nav2_semantic_layer.yaml").read_text())
    return plain["local_costmap"]["local_costmap"]["ros__parameters"]["semantic_segmentation_layer"]["camera"]


@pytest.mark.parametrize("model", ["street11", "street11_b0"])
def test_every_class_of_the_built_in_models_is_in_one_list(model):
    source = layer()
    listed = [name for kind in source["class_types"] for name in source[kind]["classes"]]
    names = [
        c["name"]
        for c in yaml.safe_load((CONFIG / "models" / model / "model.yaml").read_text())["model"]["classes"]
    ]
    assert sorted(listed) == sorted(names)
    for kind in source["class_types"]:
        assert 0 <= source[kind]["base_cost"] <= source[kind]["max_cost"] <= 254


@pytest.mark.slow
def test_masks_and_points_are_what_the_layer_joins(segmenter, probe, processes):
    segmenter.start(mask_size="0.5")
    camera = Camera(probe).connect()
    processes("points", "-p", "topic:=/camera/depth/image_raw")
    source = layer()
    topics = {key: source[f"{key}_topic"] for key in ("segmentation", "confidence", "pointcloud")}
    mask, confidence = (probe.collect(Image, topics[key], SENSOR) for key in ("segmentation", "confidence"))
    cloud, palette = (
        probe.collect(PointCloud2, topics["pointcloud"], SENSOR),
        probe.collect(ClassPalette, "/dcfm/palette", LATCHED),
    )
    depths = probe.publisher(Image, "/camera/depth/image_raw", reliable=True)
    infos = probe.publisher(CameraInfo, "/camera/depth/camera_info", reliable=True)

    def shown():
        image = camera.send()
        infos.publish(
            CameraInfo(
                header=image.header, width=48, height=32, k=[50.0, 0.0, 24.0, 0.0, 50.0, 16.0, 0.0, 0.0, 1.0]
            )
        )
        depths.publish(
            Image(
                header=image.header,
                width=48,
                height=32,
                encoding="16UC1",
                step=96,
                data=(b"\xe8\x03" * 48 * 32),
            )
        )
        camera.answer(image)
        joined = [message for message in cloud if of(mask, message) and of(confidence, message)]
        return joined[0] if joined else None

    points = probe.spin_until(shown, "a mask, a confidence and a cloud of one stamp")
    labels, certain = of(mask, points), of(confidence, points)
    assert (labels.encoding, certain.encoding) == ("mono8", "mono8")
    assert (
        labels.width * labels.height
        == certain.width * certain.height
        == points.width * points.height
        == 48 * 32
    )
    probe.spin_until(lambda: palette, "the palette")
    assert set(pixels(labels).ravel()) <= {c.id for c in palette[0].classes}
