# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Everything far away: sky with clouds and a skyline, as one wide picture."""

import cv2
import numpy as np

from dcfm_ros.sources.classes import BUILDING, SKY, TREE
from dcfm_ros.sources.synthetic.texture import smooth_noise

TURN = 0.5  # radians the camera may turn to either side before the picture ends


def draw_backdrop(rng, style, width, height, focal):
    """Picture (2*height, wide, 4) uint8, RGB + label, its horizon on row `height`."""
    wide = int(width + 2 * TURN * focal)
    small_w, small_h = 256, max(16, int(256 * height / wide))
    t = np.linspace(0, 1, small_h, dtype=np.float32)[:, None, None]
    zenith = {
        "sun": np.array([95, 140, 210]),
        "cloud": np.array([150, 170, 200]),
        "dull": np.array([165, 168, 172]),
        "dusk": np.array([70, 80, 125]),
    }[style.mood]
    low = {
        "sun": np.array([205, 220, 235]),
        "cloud": np.array([225, 228, 232]),
        "dull": np.array([190, 192, 195]),
        "dusk": np.array([215, 150, 110]),
    }[style.mood]
    zenith = zenith * rng.uniform(0.8, 1.25)
    sky = zenith + (low * rng.uniform(0.85, 1.12) - zenith) * t ** rng.uniform(0.7, 2.0)
    clouds = smooth_noise(rng, small_h, small_w, rng.uniform(3, 9), 5)
    cover = np.clip((clouds + rng.uniform(-0.5, 0.5)) * rng.uniform(0.4, 1.3), 0, 1)[..., None]
    cloud = rng.uniform(120, 250) if style.mood != "dusk" else rng.uniform(90, 160)
    sky = sky * np.ones((1, small_w, 1)) * (1 - cover) + cover * (cloud + 30 * clouds[..., None])
    if style.mood == "sun":  # glare around the sun
        gx, gy = rng.uniform(0, small_w), rng.uniform(0, small_h)
        y, x = np.mgrid[0:small_h, 0:small_w]
        glare = np.exp(-((x - gx) ** 2 + (y - gy) ** 2) / (2 * rng.uniform(15, 50) ** 2))
        sky = sky + glare[..., None] * rng.uniform(0, 160)
    picture = np.zeros((2 * height, wide, 4), np.uint8)
    sky = np.ascontiguousarray(np.clip(sky, 0, 255).astype(np.uint8))
    picture[:height, :, :3] = cv2.resize(sky, (wide, height), interpolation=cv2.INTER_CUBIC)
    picture[height:, :, :3] = picture[height - 1, :, :3]
    picture[..., 3] = SKY
    _skyline(rng, style, picture, height, focal)
    return picture


def _skyline(rng, style, picture, horizon, focal):
    wide = picture.shape[1]
    bottom = horizon + int(0.06 * focal)
    x = 0
    while x < wide:
        step = int(focal * rng.uniform(0.03, 0.16)) + 2
        top = horizon - int(focal * rng.uniform(0.015, 0.075))
        far = rng.uniform(0.35, 0.75) * (1 if style.haze_m > 400 else 1.2)
        if rng.random() < 0.55:
            rgb = rng.uniform(60, 170) * rng.uniform(0.9, 1.1, 3)
            colour = rgb * (1 - min(far, 0.9)) + style.haze_rgb * min(far, 0.9)
            cv2.rectangle(picture, (x, top), (x + step, bottom), (*colour, BUILDING), -1)
        else:
            rgb = np.array([60, 80, 50])
            colour = rgb * (1 - min(far, 0.9)) + style.haze_rgb * min(far, 0.9)
            n = 14
            ys = top + rng.uniform(-0.012, 0.012, n) * focal
            xs = np.linspace(x, x + step, n)
            outline = np.concatenate([np.stack([xs, ys], 1), [[x + step, bottom], [x, bottom]]])
            cv2.fillPoly(picture, [np.round(outline).astype(np.int32)], (*colour, TREE))
        x += step
