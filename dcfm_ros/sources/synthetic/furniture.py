# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Lamp posts, signs, traffic lights, bollards and fences, standing at the origin, z along the road."""

import numpy as np

from dcfm_ros.sources.classes import FENCE, POLE, SIGN
from dcfm_ros.sources.synthetic.mesh import Mesh

POST_PX = 1.7  # thin posts stay visible however far they are


def lamp_post(rng, toward_road):
    """Lamp 6-8 m high whose arm reaches over the road (`toward_road` is -1 or 1)."""
    mesh, h = Mesh(), rng.uniform(6, 8)
    rgb = rng.choice([40.0, 90.0, 150.0, 190.0]) * rng.uniform(0.85, 1.1, 3)
    mesh.bar((0, 0, 0), (0, 1.2, 0), 0.1, rgb, POLE, 0, POST_PX)
    mesh.bar((0, 1.2, 0), (0, h, 0), 0.075, rgb, POLE, 0, POST_PX)
    reach = toward_road * rng.uniform(0.6, 2.0)
    mesh.bar((0, h, 0), (reach, h + 0.25, 0), 0.05, rgb, POLE, 0, POST_PX)
    mesh.bar((reach, h + 0.25, 0), (reach * 1.3, h + 0.22, 0), 0.1, (235, 232, 215), POLE, 0.4, POST_PX)
    return mesh.freeze(), h


def plain_post(rng):
    """Telegraph pole, or a short bollard."""
    mesh = Mesh()
    if rng.random() < 0.45:
        h, rgb, r = 1.0, rng.choice([30.0, 120.0, 220.0]) * np.ones(3), 0.08
    else:
        h, rgb, r = rng.uniform(4, 8), np.array([95, 80, 62]) * rng.uniform(0.6, 1.4), 0.12
    mesh.bar((0, 0, 0), (0, h, 0), r, rgb, POLE, 0.2, POST_PX)
    return mesh.freeze(), h


def _sign_colours(rng):
    pairs = (
        ((205, 25, 30), (240, 240, 240)),
        ((25, 75, 175), (240, 240, 245)),
        ((240, 240, 240), (30, 30, 30)),
        ((15, 95, 60), (235, 225, 120)),
        ((245, 190, 30), (20, 20, 20)),
        ((110, 70, 40), (240, 240, 240)),
    )
    return pairs[rng.integers(len(pairs))]


def _plate(mesh, x, y, w, h, z, rgb):
    mesh.quad(
        [
            (x - w / 2, y - h / 2, z),
            (x + w / 2, y - h / 2, z),
            (x + w / 2, y + h / 2, z),
            (x - w / 2, y + h / 2, z),
        ],
        rgb,
        SIGN,
    )


def traffic_sign(rng):
    """One or two plates on a post, seen from both directions."""
    mesh, h = Mesh(), rng.uniform(2.3, 3.1)
    mesh.bar((0, 0, 0), (0, h + 0.3, 0), 0.045, rng.uniform(80, 170) * np.ones(3), POLE, 0, POST_PX)
    y = h
    for _ in range(int(rng.integers(1, 3))):
        border, fill = _sign_colours(rng)
        kind = rng.choice(["round", "board", "triangle"], p=[0.4, 0.4, 0.2])
        size = rng.uniform(0.6, 0.95)
        if kind == "round":
            mesh.bar((0, y, 0), (0, y + 0.001, 0), size / 2, border, SIGN, 1, POST_PX)
            mesh.bar((0, y, 0), (0, y + 0.001, 0), size * 0.36, fill, SIGN, 1)
            _plate(mesh, 0, y, size * 0.35, size * 0.15, 0, border)
        elif kind == "board":
            w = size * rng.uniform(1.0, 1.9)
            _plate(mesh, 0, y, w, size, 0, border)
            for k in (-0.2, 0.2):
                _plate(mesh, w * rng.uniform(-0.1, 0.1), y + k * size, w * 0.65, size * 0.14, 0, fill)
        else:
            for scale, rgb in ((1.0, (200, 30, 30)), (0.6, (240, 240, 238))):
                r = 0.6 * size * scale
                mesh.quad(
                    [(-r, y - 0.55 * r, 0), (r, y - 0.55 * r, 0), (0.01, y + r, 0), (-0.01, y + r, 0)],
                    rgb,
                    SIGN,
                )
        y -= size * 1.05
    return mesh.freeze(), h


def traffic_light(rng):
    """Signal head with three lamps on a post."""
    mesh, h = Mesh(), rng.uniform(2.6, 3.2)
    mesh.bar((0, 0, 0), (0, h, 0), 0.06, (70, 72, 70), POLE, 0, POST_PX)
    _plate(mesh, 0, h, 0.5, 1.15, 0, rng.choice([20, 45, 70]) * np.ones(3))
    lit = rng.integers(3)
    for k, rgb in enumerate(((255, 40, 30), (255, 180, 40), (40, 240, 120))):
        mesh.bar(
            (0, h + 0.36 * (1 - k), 0),
            (0, h + 0.36 * (1 - k) + 0.001, 0),
            0.13,
            np.multiply(rgb, 1.0 if k == lit else 0.3),
            SIGN,
            1,
        )
    return mesh.freeze(), h


def hanging_sign(rng, toward_road):
    """A board sticking out from a house front."""
    mesh = Mesh()
    border, fill = _sign_colours(rng)
    w, h, y = rng.uniform(0.6, 1.2), rng.uniform(0.6, 1.6), rng.uniform(2.9, 4.2)
    _plate(mesh, toward_road * (w / 2 + 0.1), y, w, h, 0, border)
    _plate(mesh, toward_road * (w / 2 + 0.1), y, w * 0.6, h * 0.3, 0, fill)
    return mesh.freeze(), 0.0


class FenceStyle:
    """One kind of fence, repeated in pieces along the street."""

    def __init__(self, rng, faces):
        self.kind = rng.choice(["railing", "boards", "wall"], p=[0.4, 0.35, 0.25])
        self.height = {"railing": 1.1, "boards": rng.uniform(1.1, 1.9), "wall": rng.uniform(0.7, 1.6)}[
            self.kind
        ]
        if self.kind == "railing":
            self.rgb = rng.choice([35.0, 110.0, 180.0, 225.0]) * rng.uniform(0.9, 1.1, 3)
        elif self.kind == "boards":
            self.rgb = np.array([130, 95, 62]) * rng.uniform(0.5, 1.5)
        else:
            self.rgb = np.array([150, 115, 95]) * rng.uniform(0.6, 1.35) * rng.uniform(0.85, 1.15, 3)
        self.faces = faces

    def piece(self, rng, points):
        """Shape in world coordinates between two ground points (2, 3)."""
        mesh, up = Mesh(), np.array([0, self.height, 0])
        a, b = points
        step = b - a
        if self.kind == "railing":
            for y in (0.15, 1.0):
                mesh.bar(a + up * y, b + up * y, 0.025, self.rgb, FENCE, 0, 1.3)
            for k in np.arange(0, 1, 0.125):
                mesh.bar(a + k * step, a + k * step + up, 0.018, self.rgb, FENCE, 0, 1.2)
            mesh.bar(a, a + up * 1.08, 0.04, self.rgb * 0.9, FENCE, 0, 1.3)
            return mesh.freeze()
        n = 4 if self.kind == "boards" else 1
        for k in range(n):
            p, q = a + step * k / n, a + step * (k + 1) / n
            rgb = self.rgb * rng.uniform(0.85, 1.1)
            mesh.quad([p, q, q + up, p + up], rgb, FENCE)
        if self.kind == "wall":
            mesh.bar(a + up, b + up, 0.06, self.rgb * 1.15, FENCE, 0, 1.0)
        return mesh.freeze()
