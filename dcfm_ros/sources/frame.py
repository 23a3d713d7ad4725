# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The frame that every source returns."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class VideoFrame:
    """One frame of a video, with its exact labels if known."""

    index: int
    stamp_ns: int  # time since the start of the video
    image: np.ndarray  # (H, W, 3) uint8 RGB
    label: np.ndarray | None  # (H, W) uint8 class ids, 255 = void
    is_cut: bool  # first frame of a new shot (hard cut); False where unknown
    name: str = ""  # of its own in this video, as from the file of an image; "" where it has but a number
