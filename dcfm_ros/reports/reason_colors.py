# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The colours of keyframe reasons in reports."""

from __future__ import annotations

Color = tuple[int, int, int]  # RGB, 0..255

REASONS: dict[str, Color] = {
    "first": (40, 150, 90),
    "deviation": (225, 125, 20),
    "interval": (120, 80, 190),
    "requested": (20, 150, 190),
    "reset": (200, 60, 130),
}
OTHER_REASON: Color = (112, 116, 128)


def reason_color(reason: str) -> Color:
    return REASONS.get(reason, OTHER_REASON)
