# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What ROS adds to a frame: receiving the image over DDS, and publishing what is made of it. Not measured by
`dcfm plan`, which starts no node."""

from __future__ import annotations

# Processor seconds of the node per frame. By pixels: 5.9 ms at 1920x1080 (docs/performance.md), rgb8, with
# nobody listening to other outputs than the mask. The rest: what a small image costs (docs/plan.md).
_PER_FRAME_S = 1.0e-3
_PER_PIXEL_S = 2.4e-9


def ros_cost_s(image_size: tuple[int, int]) -> float:
    """Processor seconds per frame for images of (H, W) in rgb8."""
    height, width = image_size
    return _PER_FRAME_S + _PER_PIXEL_S * height * width
