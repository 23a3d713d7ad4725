# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The ground: road, kerbs, pavements, markings, and the shadows that fall on it."""

import cv2
import numpy as np

from dcfm_ros.compiled import njit
from dcfm_ros.sources.classes import PAVEMENT, ROAD
from dcfm_ros.sources.synthetic.mesh import Mesh
from dcfm_ros.sources.synthetic.texture import smooth_noise

TILE_M = 16.0  # the ground texture repeats after this distance
TILE_PX = 512
FAR_M = 240.0
# Grain (columns) that is left of itself by a fade of 0..255 (rows); compiled loops look it up.
_GRAIN, _FADE = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
FADED = cv2.multiply(_GRAIN, _FADE, scale=1 / 255).astype(np.int32)


class Ground:
    """Flat quads in drawing order, quads of shadow, and the texture laid over them."""

    def __init__(self, rng, style, road, length):
        self.style, self.road = style, road
        asphalt = np.ones(3) * rng.uniform(75, 165) * rng.uniform(0.95, 1.05, 3)
        paving = rng.uniform(115, 205) * np.array([1, rng.uniform(0.92, 1), rng.uniform(0.82, 1)])
        self.beyond = paving * rng.uniform(0.7, 1.0)
        self.texture = self._texture(rng)
        self.gaps = [self._gaps(rng, length) for _ in range(2)]
        mesh = Mesh()
        kerbs = [style.kerb(0), style.kerb(1)]
        for s in np.arange(-16.0, FAR_M + style.length, 10.0):
            e = s + 10.0
            for right, sign in ((0, -1), (1, 1)):
                a, b = kerbs[right], kerbs[right] + style.pavement[right]
                mesh.quad(road.strip(s, e, sign * a, sign * b), paving, PAVEMENT)
                mesh.quad(road.strip(s, e, sign * a, sign * (a + 0.16)), paving * 1.2, PAVEMENT)
            mesh.quad(road.strip(s, e, -kerbs[0], kerbs[1]), asphalt, ROAD)
        for right, sign in ((0, -1), (1, 1)):
            for a, b in self.gaps[right]:
                mesh.quad(road.strip(a, b, sign * (kerbs[right] - 0.05), sign * 45), asphalt * 0.97, ROAD)
        self._marks(rng, mesh, kerbs, length)
        shape = mesh.freeze()
        self.quads, self.rows = shape.quads, shape.quad_rows
        self._shadows, self._strength = [], []

    def _texture(self, rng):
        """Tile (TILE_PX, TILE_PX) uint8 that is taken away from the colour of the ground."""
        coarse = smooth_noise(rng, TILE_PX, TILE_PX, 6, 3) * rng.uniform(2, 9)
        fine = rng.normal(0, rng.uniform(3, 10), (TILE_PX, TILE_PX))
        tile = 20 + coarse + fine
        for _ in range(int(rng.integers(0, 5))):  # cracks and mended trenches
            x, y = rng.integers(0, TILE_PX - 120, 2)
            w, h = rng.integers(3, 120, 2)
            tile[y : y + h, x : x + w] += rng.uniform(-10, 12)
        return np.clip(tile, 0, 90).astype(np.uint8)

    def _gaps(self, rng, length):
        """Side streets as (start, end) along the road."""
        gaps, s = [], rng.uniform(5, 60)
        while s < length:
            gaps.append((s, s + rng.uniform(6, 9)))
            s += rng.uniform(40, 110)
        return gaps

    def _marks(self, rng, mesh, kerbs, length):
        road = self.road
        paint = np.array([1, 1, rng.choice([1.0, 1.0, 0.75])]) * rng.uniform(190, 250)
        dash, gap = rng.choice([2.0, 3.0, 4.0]), rng.choice([2.0, 4.0, 6.0])
        if rng.random() < 0.85:
            whole = rng.random() < 0.15
            for s in np.arange(-14, length, dash + gap):
                mesh.quad(road.strip(s, s + (dash + gap if whole else dash), -0.07, 0.07), paint, ROAD)
        if rng.random() < 0.5:  # lines along the kerbs
            line = paint if rng.random() < 0.5 else np.array([225, 190, 60])
            for right, sign in ((0, -1), (1, 1)):
                at = sign * (kerbs[right] - 0.35)
                for s in np.arange(-14, length, 6.0):
                    if not any(a - 6 < s < b for a, b in self.gaps[right]):
                        mesh.quad(road.strip(s, s + 6.0, at - 0.06, at + 0.06), line, ROAD)
        self.crossing = None
        if rng.random() < 0.5:
            start = self.crossing = rng.uniform(8, 40)
            for x in np.arange(-kerbs[0] + 0.3, kerbs[1] - 0.5, 1.1):
                mesh.quad(road.strip(start, start + 2.8, x, x + 0.55), paint, ROAD)
            mesh.quad(road.strip(start - 1.6, start - 1.3, -kerbs[0], kerbs[1]), paint, ROAD)

    def _cast(self, corners, share=1.0):
        self._shadows.append(corners)
        self._strength.append(self.style.shadow * share)

    def cast_wall(self, a, b, height):
        """Shadow of a wall between two ground points."""
        reach = height * np.array([self.style.sun_x, 0, self.style.sun_z])
        self._cast([a, b, b + reach, a + reach])

    def cast_post(self, foot, height, radius):
        """Shadow of an upright post."""
        reach = height * np.array([self.style.sun_x, 0, self.style.sun_z])
        side = np.array([reach[2], 0, -reach[0]])
        side = side / max(np.linalg.norm(side), 1e-6) * radius
        self._cast([foot - side, foot + side, foot + side + reach, foot - side + reach])

    def cast_blob(self, foot, height, radius):
        """Shadow of a round crown at a height."""
        centre = foot + height * np.array([self.style.sun_x, 0, self.style.sun_z])
        for turn in np.arange(3) * 0.55:
            corners = np.arange(4) * np.pi / 2 + turn
            self._cast(centre + radius * np.stack([np.cos(corners), 0 * corners, np.sin(corners)], 1))

    def cast_car(self, foot, heading, width, length):
        """Shadow of a parked car."""
        self._shadows += list(car_shadow(self.style, foot, heading, width, length))
        self._strength += [max(self.style.shadow, 30.0)] * 2

    def freeze(self):
        """Turn the lists of shadows into arrays (S, 4, 3) and (S,)."""
        self.shadows = np.array(self._shadows, np.float32).reshape(-1, 4, 3)
        self.strength = np.array(self._strength, np.float32)


def car_shadow(style, foot, heading, width, length):
    """Two ground quads (..., 2, 4, 3) per car: the dark under it and the shadow beside it."""
    c, s, zero = np.cos(heading), np.sin(heading), np.zeros(np.shape(heading))
    right = np.stack([c * width, zero, -s * width], axis=-1) / 2
    ahead = np.stack([s * length, zero, c * length], axis=-1) / 2
    under = np.stack(
        [foot - right - ahead, foot + right - ahead, foot + right + ahead, foot - right + ahead], axis=-2
    )
    return np.stack([under, under + 0.7 * np.array([style.sun_x, 0, style.sun_z])], axis=-3)


@njit(cache=True, nogil=True)
def darken(canvas, grain, fade, shade):
    """Take faded grain and shade (h, w) away from the colours, not the labels, of a canvas (h, w, 4)."""
    for y in range(canvas.shape[0]):
        faded = FADED[fade[y]]
        for x in range(canvas.shape[1]):
            dark = faded[grain[y, x]] + shade[y, x]
            for c in range(3):
                canvas[y, x, c] = max(canvas[y, x, c] - dark, 0)
