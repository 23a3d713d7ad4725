# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The camera's eye: exposure, colour, vignette, blur and noise."""

import cv2
import numpy as np

from dcfm_ros.compiled import njit

MARGIN = 64  # the noise field is this much larger than a frame, to cut frames from it anywhere


class Sensor:
    """Turns clean colours of a shot into what a cheap camera records."""

    def __init__(self, rng, style, width, height):
        self.style = style
        self.level = int(rng.choice([1, 3, 5, 9], p=[0.2, 0.4, 0.3, 0.1]))
        if style.mood == "dusk":
            self.level += 4
        size = (height + MARGIN, width + MARGIN, 3)
        noise = rng.integers(0, self.level + 1, size, dtype=np.uint8)
        self.noise = noise + rng.integers(0, self.level + 1, size, dtype=np.uint8)
        y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
        x = np.linspace(-1, 1, width, dtype=np.float32)[None]
        fall = rng.uniform(0, 28) * (x * x + y * y) ** 1.5
        self.vignette = cv2.merge([np.clip(fall, 0, 80).astype(np.uint8)] * 3)
        self.blur = rng.choice([0.0, 0.45, 0.6])
        self.wave = rng.uniform(0.0, 0.06), rng.uniform(0.5, 1.5), rng.uniform(0, 6)

    def record(self, canvas, t, seed):
        """Image (H, W, 3) uint8 RGB of a canvas (H, W, 4); `seed` picks this frame's noise."""
        h, w = canvas.shape[:2]
        image = cv2.cvtColor(canvas, cv2.COLOR_RGBA2RGB)
        if self.blur:
            image = cv2.GaussianBlur(image, (3, 3), self.blur)
        cv2.subtract(image, self.vignette, dst=image)
        y, x = np.random.default_rng(seed).integers(0, MARGIN, 2)
        cv2.add(image, self.noise[y : y + h, x : x + w], dst=image)
        _look_up(image, self._curve(t))
        return image

    def _curve(self, t):
        """Tone curves (3, 256) uint8 at time `t`; the exposure drifts a little."""
        style = self.style
        size, pace, phase = self.wave
        exposure = style.gain * (1 + size * np.sin(t * pace + phase))
        value = np.clip(np.arange(256) - self.level, 0, 255)[:, None] / 255.0
        curve = 255 * np.clip(value * exposure * style.tint, 0, 1) ** style.gamma
        return np.ascontiguousarray(np.rint(curve).astype(np.uint8).T)


@njit(cache=True, nogil=True)
def _look_up(image, curves):
    """Replace every channel by its tone curve (256,), in place; several times as fast as cv2.LUT."""
    red, green, blue = curves
    for row in image:
        for x in range(row.shape[0]):
            row[x, 0], row[x, 1], row[x, 2] = red[row[x, 0]], green[row[x, 1]], blue[row[x, 2]]
