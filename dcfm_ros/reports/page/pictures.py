# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Masks of one frame next to each other, for a video or a moment's picture."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dcfm_ros.pipeline.overlay import blend

PANEL_WIDTH = 640  # pixels, at most
_GAP = 6
_BAR, _TITLE, _MISSING = (24, 26, 32), (236, 238, 244), (150, 154, 166)


def side_by_side(
    image: np.ndarray,
    masks: Sequence[tuple[str, np.ndarray | None]],
    table: np.ndarray,
    alpha: float = 0.5,
    panel_width: int = PANEL_WIDTH,
) -> np.ndarray:
    """The image under each mask, with the mask's title above: (H', W') even, (H', W', 3) uint8 RGB.

    image: (H, W, 3) uint8 RGB; shown at most `panel_width` wide
    masks: title and (H, W) uint8 class ids; None shows the image alone under a faint title, so that all
        frames of a video have the same panels though only some have a label
    table: (256, 3) uint8 RGB, from `class_map.palette_table`
    """
    if not masks:
        raise ValueError("there are no masks; give at least one to show")
    for title, mask in masks:
        if mask is not None and mask.shape != image.shape[:2]:
            raise ValueError(
                f"mask {title!r} has shape {mask.shape}; give {image.shape[:2]}, the size of the image"
            )
    height, width = image.shape[:2]
    if width > panel_width:
        height, width = max(1, round(height * panel_width / width)), panel_width
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    bar = max(20, round(0.075 * width))
    # Even sides, since video codecs need them; the rest is the bar's colour.
    total = len(masks) * width + (len(masks) - 1) * _GAP
    picture = np.full((bar + height + (bar + height) % 2, total + total % 2, 3), _BAR, np.uint8)
    for number, (title, mask) in enumerate(masks):
        left = number * (width + _GAP)
        picture[:bar, left : left + width] = _title(title, mask is None, width, bar)
        picture[bar : bar + height, left : left + width] = (
            image
            if mask is None
            else blend(
                image, cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST), table, alpha
            )
        )
    return picture


@lru_cache(64)  # a video has the same titles in each frame
def _title(text: str, missing: bool, width: int, height: int) -> np.ndarray:
    strip = Image.new("RGB", (width, height), _BAR)
    place = (max(4, height // 3), height / 2)
    ImageDraw.Draw(strip).text(
        place,
        f"no {text}" if missing else text,
        _MISSING if missing else _TITLE,
        ImageFont.load_default(round(0.58 * height)),
        anchor="lm",
    )
    return np.asarray(strip)
