# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Trees as upright pictures: trunk and ragged crown, leafy or bare."""

import cv2
import numpy as np

from dcfm_ros.compiled import njit
from dcfm_ros.sources.classes import TREE
from dcfm_ros.sources.synthetic.texture import CLEAR, smooth_noise

SIZE = 192  # texels, square


def draw_tree(rng):
    """A tree (SIZE, SIZE, 4) uint8, RGB + label; the trunk stands at the bottom centre."""
    bare = rng.random() < 0.3
    leaf = np.array([rng.uniform(40, 115), rng.uniform(65, 125), rng.uniform(25, 70)]) * rng.uniform(
        0.55, 1.1
    )
    bark = np.array([85, 72, 60]) * rng.uniform(0.5, 1.1)
    y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32) / SIZE
    ragged = smooth_noise(rng, SIZE, SIZE, 7, 4)
    middle, half_h = rng.uniform(0.36, 0.42), rng.uniform(0.32, 0.36)
    radius = np.hypot((x - 0.5) / rng.uniform(0.36, 0.45), (y - middle) / half_h)
    solid = radius + 0.22 * ragged < 0.95
    if bare:  # sky shows between the twigs
        twigs = np.abs(smooth_noise(rng, SIZE, SIZE, 14, 3))
        solid &= twigs < 0.55 - 0.25 * radius
    light = smooth_noise(rng, SIZE, SIZE, 16, 3) * 0.22 + (0.5 - y) * 0.5 + rng.normal(0, 0.1, (SIZE, SIZE))
    base = bark if bare else leaf
    colour = _shaded(base, light)
    wood = np.zeros((SIZE, SIZE), np.uint8)
    foot, fork = (SIZE // 2, SIZE), (SIZE // 2 + int(rng.integers(-6, 7)), int(SIZE * 0.6))
    thick = int(rng.integers(7, 13))
    cv2.line(wood, foot, fork, 1, thick)
    for angle in np.linspace(-1.1, 1.1, 7 if bare else 3) + rng.normal(0, 0.12):
        reach = SIZE * (0.5 if bare else 0.28)
        tip = (int(fork[0] + reach * 0.8 * np.sin(angle)), int(fork[1] - reach * np.cos(angle)))
        cv2.line(wood, fork, tip, 1, max(2, thick // 3))
    trunk = (wood > 0) & (bare | ~solid)
    colour[trunk] = np.clip(bark * (1 + 0.5 * light[trunk, None]), 0, 255)
    picture = np.empty((SIZE, SIZE, 4), np.uint8)
    solid = solid | (wood > 0)
    colour[~solid] = np.clip(base, 0, 255)  # reduced copies blend into this colour
    picture[..., :3] = colour
    picture[..., 3] = np.where(solid, TREE, CLEAR)
    return picture


@njit(cache=True, nogil=True)
def _shaded(base, light):
    """A colour (3,) made lighter and darker by shares (h, w), as a picture (h, w, 3)."""
    h, w = light.shape
    out = np.empty((h, w, 3), np.uint8)
    for y in range(h):
        for x in range(w):
            for c in range(3):
                out[y, x, c] = np.uint8(min(max(base[c] * (1 + light[y, x]), 0.0), 255.0))
    return out
