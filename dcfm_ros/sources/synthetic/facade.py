# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fronts of buildings: walls with rows of windows, doors, shop windows and a little dirt."""

import cv2
import numpy as np

from dcfm_ros.compiled import njit
from dcfm_ros.sources.classes import BUILDING
from dcfm_ros.sources.synthetic.texture import smooth_noise

PX_PER_M = 16


def wall_colour(rng):
    """A colour for a wall (3,), brick, plaster, stone or, rarely, anything."""
    kinds = (
        [150, 85, 62],
        [190, 165, 120],
        [205, 200, 190],
        [125, 120, 115],
        [225, 215, 195],
        [105, 70, 55],
        [80, 84, 92],
    )
    if rng.random() < 0.12:
        return rng.uniform(40, 230, 3)
    return np.clip(
        np.array(kinds[rng.integers(len(kinds))]) * rng.uniform(0.75, 1.15) + rng.normal(0, 9, 3), 10, 245
    )


def draw_facade(rng, dark):
    """A front (h, w, 4) uint8, RGB + label; `dark`: windows may be lit from inside."""
    storey = rng.uniform(2.7, 3.6)
    floors = int(rng.integers(2, 5))
    bay = rng.uniform(2.0, 4.0)
    bays = int(rng.integers(3, 7))
    h, w = int(storey * floors * PX_PER_M), int(bay * bays * PX_PER_M)
    wall = wall_colour(rng)
    dirt = smooth_noise(rng, h, w, 5, 4) * rng.uniform(3, 14)
    grain = rng.normal(0, rng.uniform(2, 9), (h, w)).astype(np.float32)
    if rng.random() < 0.5:  # courses of bricks or slabs
        grain[:: int(rng.integers(3, 9))] -= rng.uniform(5, 22)
    dirt += grain
    colour = _painted(wall, dirt)
    _draw_windows(rng, colour, floors, bays, dark, shop=rng.random() < 0.5)
    if rng.random() < 0.5:  # cornice
        cv2.rectangle(
            colour,
            (0, 0),
            (w, int(rng.uniform(3, 9))),
            (wall * rng.uniform(0.6, 1.2)).clip(0, 255).tolist(),
            -1,
        )
    picture = cv2.cvtColor(colour, cv2.COLOR_RGB2RGBA)
    picture[..., 3] = BUILDING
    return picture


@njit(cache=True, nogil=True)
def _painted(wall, dirt):
    """A colour (3,) with lighter and darker places (h, w) as a picture (h, w, 3)."""
    h, w = dirt.shape
    out = np.empty((h, w, 3), np.uint8)
    for y in range(h):
        for x in range(w):
            for c in range(3):
                out[y, x, c] = np.uint8(min(max(wall[c] + dirt[y, x], 0.0), 255.0))
    return out


def _draw_windows(rng, colour, floors, bays, dark, shop):
    h, w = colour.shape[:2]
    fh, bw = h / floors, w / bays
    glass = rng.uniform(20, 110) * np.array([0.9, 1.0, rng.uniform(1.0, 1.25)])
    frame = rng.choice([240.0, 200.0, 60.0, 110.0]) * np.array([1, 1, 1])
    wide, tall = rng.uniform(0.3, 0.8), rng.uniform(0.4, 0.75)
    sill = rng.uniform(0.12, 0.25)
    for floor in range(floors):
        ground = floor == floors - 1
        if ground and shop:
            _shop(rng, colour, int(h - fh), w, h)
            continue
        for b in range(bays):
            cx = (b + 0.5) * bw
            top, bottom = (floor + sill) * fh, (floor + sill + tall) * fh
            half = wide * bw / 2
            if ground and rng.random() < 0.35:  # door
                top, bottom, half = (floor + 0.25) * fh, h, min(half, 0.55 * PX_PER_M)
                pane = rng.uniform(20, 190, 3)
            else:
                pane = glass * rng.uniform(0.6, 1.5)
                if dark and rng.random() < 0.35:
                    pane = np.array([255, 225, 150]) * rng.uniform(0.8, 1)
            a, z = (int(cx - half), int(top)), (int(cx + half), int(bottom))
            cv2.rectangle(colour, (a[0] - 2, a[1] - 2), (z[0] + 2, z[1] + 2), frame.tolist(), -1)
            cv2.rectangle(colour, a, z, pane.clip(0, 255).tolist(), -1)
            cv2.line(colour, (int(cx), a[1]), (int(cx), z[1]), frame.tolist(), 1)
            cv2.line(colour, (a[0], (a[1] + z[1]) // 2), (z[0], (a[1] + z[1]) // 2), frame.tolist(), 1)


def _shop(rng, colour, top, w, h):
    board = rng.uniform(20, 235, 3)
    cv2.rectangle(colour, (0, top), (w, h), (board * 0.6).tolist(), -1)
    cv2.rectangle(colour, (0, top), (w, top + 12), board.tolist(), -1)
    x = 4
    for _ in range(int(rng.integers(3, 8))):  # strokes that read as lettering
        x += int(rng.integers(4, 14))
        cv2.rectangle(
            colour, (x, top + 3), (x + int(rng.integers(2, 8)), top + 9), (255 - board).tolist(), -1
        )
        x += 8
    x = 4
    while x < w - 8:
        step = int(rng.uniform(1.0, 3.0) * PX_PER_M)
        pane = rng.uniform(15, 130) * rng.uniform(0.8, 1.2, 3)
        cv2.rectangle(colour, (x, top + 15), (min(x + step, w - 3), h - 6), pane.clip(0, 255).tolist(), -1)
        for _ in range(3):  # goods behind the pane
            px, py = x + int(rng.integers(0, step)), int(rng.integers(top + 18, h - 8))
            cv2.rectangle(
                colour,
                (px, py),
                (min(px + 6, w - 3), min(py + 8, h - 7)),
                rng.uniform(20, 220, 3).tolist(),
                -1,
            )
        x += step + 4
