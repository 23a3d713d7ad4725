# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The size of frames that is asked for."""

from __future__ import annotations


def wanted_size(native: tuple[int, int], width: int | None, height: int | None) -> tuple[int, int]:
    """(width, height) in pixels, where a missing one follows from the aspect ratio of `native`."""
    if width is None and height is None:
        return native
    if height is None:
        assert width is not None
        return width, max(1, round(width * native[1] / native[0]))
    return width or max(1, round(height * native[0] / native[1])), height
