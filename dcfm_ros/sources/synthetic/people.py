# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Walkers and cyclists with moving limbs, made of bars; local axes as in mesh.py."""

import math

import numpy as np

from dcfm_ros.compiled import njit
from dcfm_ros.sources.classes import BICYCLIST, PEDESTRIAN
from dcfm_ros.sources.synthetic.mesh import Shape

SKIN = ((225, 180, 150), (190, 140, 110), (120, 82, 60), (80, 55, 42))


def _clothes(rng):
    """Colours of coat, trousers, skin and hair (4, 3)."""
    coat = rng.uniform(15, 235, 3) if rng.random() < 0.6 else rng.uniform(15, 80) * np.ones(3)
    return np.array(
        [
            coat,
            rng.uniform(15, 110) * rng.uniform(0.8, 1.2, 3),
            SKIN[rng.integers(len(SKIN))],
            rng.uniform(15, 120) * np.array([1, 0.8, 0.6]),
        ]
    )


def _rows(cls, colours, radii, caps):
    rows = np.zeros((len(radii), 8), np.float32)
    rows[:, :3] = np.clip(colours, 0, 255)
    rows[:, 3], rows[:, 4], rows[:, 5], rows[:, 6] = cls, np.arange(len(radii)), radii, caps
    rows[:, 7] = 1.2
    return rows


def _bars(shape) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.zeros((0, 4, 3), np.float32), np.zeros((0, 6), np.float32), shape


class Walker:
    """A person of about 1.7 m who walks along +z."""

    def __init__(self, rng):
        self.size = rng.uniform(0.94, 1.08) if rng.random() < 0.85 else rng.uniform(0.65, 0.8)
        coat, trousers, skin, hair = _clothes(rng)
        stout = rng.uniform(0.9, 1.25)
        skirt = trousers if rng.random() < 0.6 else coat
        colours = [
            coat * 0.85,
            trousers * 0.8,
            trousers * 0.8,
            trousers,
            trousers,
            skirt,
            coat,
            skin,
            hair,
            coat,
        ]
        radii = np.array([0.055, 0.085, 0.065, 0.085, 0.065, 0.15, 0.17, 0.11, 0.115, 0.055]) * stout
        caps = np.array([0.6, 0.5, 0.5, 0.5, 0.5, 0.2, 0.5, 1, 1, 0.6])
        self._rows = _rows(PEDESTRIAN, colours, radii * self.size, caps)

    def shape(self, walked):
        """The body after `walked` metres; it does not move its legs when it stands."""
        return Shape(*_bars(_walker_bars(walked, self.size)), self._rows)


@njit(cache=True, nogil=True)
def _bar(bar, x0, y0, z0, x1, y1, z1):
    bar[0, 0], bar[0, 1], bar[0, 2] = x0, y0, z0
    bar[1, 0], bar[1, 1], bar[1, 2] = x1, y1, z1


@njit(cache=True, nogil=True)
def _walker_bars(walked, size):
    """Bars (10, 2, 3) of a walker: arm, two legs, skirt, trunk, head, hair, arm."""
    swing, lift = math.sin(walked * 2 * np.pi / (1.45 * size)), math.cos(walked * 2 * np.pi / (1.45 * size))
    high, wide, hip = 1.38, 0.19, 0.09
    bars = np.empty((10, 2, 3), np.float32)
    _bar(bars[0], -wide, high, 0.0, -wide - 0.03, 0.85, 0.3 * swing)
    for leg, side, sign in ((1, -hip, 1), (3, hip, -1)):
        a = 0.42 * swing * sign
        bend = 0.25 + 0.35 * lift * sign if abs(swing) < 0.99 else 0.2
        knee_y, knee_z = 0.88 - 0.44 * math.cos(a), 0.44 * math.sin(a)
        _bar(bars[leg], side, 0.88, 0.0, side, knee_y, knee_z)
        _bar(
            bars[leg + 1],
            side,
            knee_y,
            knee_z,
            side,
            max(0.05, knee_y - 0.42 * math.cos(a - bend)),
            knee_z + 0.42 * math.sin(a - bend),
        )
    _bar(bars[5], 0.0, 0.95, 0.0, 0.0, 0.72, 0.02)
    _bar(bars[6], 0.0, 0.95, 0.0, 0.0, 1.35, 0.0)
    _bar(bars[7], 0.0, 1.57, 0.01, 0.0, 1.59, 0.01)
    _bar(bars[8], 0.0, 1.65, -0.02, 0.0, 1.64, -0.02)
    _bar(bars[9], wide, high, 0.0, wide + 0.03, 0.85, -0.3 * swing)
    for bar in bars:
        for end in bar:
            for k in range(3):
                end[k] *= np.float32(size)
    return bars


class Cyclist:
    """A bicycle with its rider, riding along +z; all of it is class bicyclist."""

    def __init__(self, rng):
        coat, trousers, skin, hair = _clothes(rng)
        frame = rng.uniform(10, 220, 3)
        tyre = np.array([25, 25, 27])
        angles = np.arange(11) * 2 * np.pi / 10
        rim = np.stack([0 * angles, 0.34 + 0.32 * np.sin(angles), 0.32 * np.cos(angles)], axis=1)
        wheels = [((rim[i] + (0, 0, z)), (rim[i + 1] + (0, 0, z))) for z in (-0.52, 0.52) for i in range(10)]
        hub, saddle, head, crank = (0, 0.34, -0.52), (0, 0.95, -0.22), (0, 0.95, 0.38), (0, 0.3, -0.05)
        tubes = [
            (hub, saddle),
            (hub, crank),
            (crank, saddle),
            (crank, head),
            (saddle, head),
            (head, (0, 0.34, 0.52)),
            ((-0.28, 1.0, 0.36), (0.28, 1.0, 0.36)),
        ]
        self._fixed = np.array(wheels + tubes, np.float32)
        body = [
            trousers * 0.8,
            trousers * 0.8,
            coat * 0.85,
            coat,
            trousers,
            trousers,
            coat,
            skin,
            hair if rng.random() < 0.5 else rng.uniform(30, 240, 3),
        ]
        radii = [0.035] * 20 + [0.025] * 7 + [0.085, 0.065, 0.055, 0.2, 0.085, 0.065, 0.055, 0.11, 0.13]
        caps = [0.3] * 27 + [0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 1, 1]
        self._rows = _rows(BICYCLIST, [tyre] * 20 + [frame] * 7 + body, np.array(radii), np.array(caps))

    def shape(self, ridden):
        """The rider after `ridden` metres; the pedals follow the distance."""
        legs = []
        for side, half in ((-0.1, 0.0), (0.1, np.pi)):
            turn = ridden * 1.1 + half
            foot = (side, 0.3 + 0.17 * np.sin(turn), -0.05 + 0.17 * np.cos(turn))
            hip = (side, 1.0, -0.2)
            knee = (side, (foot[1] + hip[1]) / 2 + 0.08, (foot[2] + hip[2]) / 2 + 0.27)
            legs.append([(hip, knee), (knee, foot)])
        arms = [((s * 0.19, 1.42, 0.05), (s * 0.26, 1.02, 0.36)) for s in (-1, 1)]
        body = (
            legs[0]
            + [arms[0], ((0, 1.05, -0.2), (0, 1.42, 0.05))]
            + legs[1]
            + [arms[1], ((0, 1.62, 0.12), (0, 1.64, 0.12)), ((0, 1.7, 0.1), (0, 1.69, 0.1))]
        )
        bars = np.concatenate([self._fixed, np.array(body, np.float32)])
        return Shape(*_bars(bars), self._rows)
