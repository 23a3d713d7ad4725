# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Latched class topics, for late-joining subscribers."""

import pytest
from helpers import CLASSES
from rclpy.qos import DurabilityPolicy, QoSProfile
from ros_helpers import Camera

from dcfm_ros.msg import ClassPalette

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@pytest.mark.slow
def test_late_subscribers_get_the_palette(segmenter, model, probe):
    segmenter.start()
    Camera(probe).connect().segment()  # the palette is long out
    palettes = probe.collect(ClassPalette, "/dcfm/palette", LATCHED)
    probe.spin_until(lambda: palettes, "the palette")
    (palette,) = palettes
    assert palette.model == str(model) and palette.header.stamp.sec > 0
    assert [(c.id, c.name, (c.r, c.g, c.b)) for c in palette.classes] == [
        (number, c.name, c.color) for number, c in enumerate(CLASSES[:4])
    ]


@pytest.mark.slow
def test_late_subscribers_get_label_info(segmenter, probe):
    vision = pytest.importorskip("vision_msgs.msg", reason="vision_msgs is not installed (it is not on PyPI)")
    segmenter.start()
    infos = probe.collect(vision.LabelInfo, "/dcfm/label_info", LATCHED)
    probe.spin_until(lambda: infos, "label_info")
    assert [(c.class_id, c.class_name) for c in infos[0].class_map] == [
        (n, c.name) for n, c in enumerate(CLASSES[:4])
    ]
