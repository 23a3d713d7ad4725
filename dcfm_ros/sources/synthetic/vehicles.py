# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cars, vans and lorries, standing at the origin and looking along +z."""

import numpy as np

from dcfm_ros.sources.classes import CAR
from dcfm_ros.sources.synthetic.mesh import Mesh

WHEEL = np.array([[np.cos(a), np.sin(a)] for a in np.arange(8) * np.pi / 4 + np.pi / 8])


def draw_vehicle(rng, faces, dark):
    """(Shape, width, length) in metres of a random vehicle; `faces`: brightness per side."""
    kind = rng.choice(["hatch", "saloon", "estate", "van"], p=[0.4, 0.25, 0.2, 0.15])
    width = rng.uniform(1.65, 1.85)
    length = {
        "hatch": rng.uniform(3.6, 4.1),
        "saloon": rng.uniform(4.2, 4.7),
        "estate": rng.uniform(4.2, 4.8),
        "van": rng.uniform(4.6, 6.5),
    }[kind]
    height = rng.uniform(1.9, 2.7) if kind == "van" else rng.uniform(1.4, 1.65)
    belt = height * (0.5 if kind == "van" else 0.6)
    rgb = rng.choice([rng.uniform(20, 60), rng.uniform(120, 200), rng.uniform(215, 245)]) * np.ones(3)
    if rng.random() < 0.55:
        rgb = rng.uniform(15, 210, 3)
    rear, front = {"hatch": (0.15, 1.0), "saloon": (0.8, 1.2), "estate": (0.1, 1.1), "van": (0.02, 0.7)}[kind]
    x, z = width / 2, length / 2
    mesh = Mesh()
    dark_rgb = np.array([22, 22, 24])
    mesh.box((-x + 0.08, 0.1, -z + 0.2), (x - 0.08, 0.35, z - 0.2), dark_rgb, CAR, np.ones(5))
    mesh.box((-x, 0.28, -z), (x, belt, z), rgb, CAR, faces, (0.03, 0.03, 0.08))
    low, high = (-x + 0.03, belt, -z + rear * 0.4), (x - 0.03, height, z - front)
    slope = (0.02, 0.03, 0.35) if kind == "van" else (0.14, 0.5 * rear + 0.1, 0.65)
    mesh.box(low, high, rgb, CAR, faces, slope)
    glass = rng.uniform(25, 80) * np.array([0.9, 1, 1.08])
    _panes(
        mesh,
        low,
        high,
        slope,
        glass * 1.1,
        rear_pane=kind != "van" or rng.random() < 0.6,
        side_to=0.55 if kind == "van" else 0.06,
    )
    _ends(rng, mesh, x, z, belt, dark)
    for end in (-z + 0.75, z - 0.8):
        for edge in (-x - 0.01, x + 0.01):
            _wheel(mesh, edge, end)
    return mesh.freeze(), width, length


def _panes(mesh, low, high, slope, rgb, rear_pane, side_to):
    side, rear, front = slope
    inside = (np.array(low) + high) / 2

    def at(u, v, face):
        """Point on a cabin face: u 0..1 along it, v 0..1 up."""
        x = low[0] + side * v - 0.01, high[0] - side * v + 0.01
        z = low[2] + rear * v - 0.01, high[2] - front * v + 0.01
        y = low[1] + (high[1] - low[1]) * v
        if face in "rf":
            return x[0] + (x[1] - x[0]) * u, y, z[face == "f"]
        return x[face == "R"], y, z[0] + (z[1] - z[0]) * u

    def pane(face, u0, u1):
        mesh.quad(
            [at(u0, 0.08, face), at(u1, 0.08, face), at(u1, 0.86, face), at(u0, 0.86, face)], rgb, CAR, inside
        )

    pane("f", 0.06, 0.94)
    if rear_pane:
        pane("r", 0.08, 0.92)
    for face in "LR":
        for u0, u1 in ((side_to, 0.5), (0.54, 0.94)):
            if u1 - u0 > 0.1:
                pane(face, u0, u1)


def _ends(rng, mesh, x, z, belt, dark):
    """Lamps, plates, grille and bumper on both ends."""
    inside = np.zeros(3)
    lamp_y = 0.28 + (belt - 0.28) * 0.62
    front = np.array([255, 250, 225]) if dark or rng.random() < 0.25 else np.array([205, 208, 210])
    tail = np.array([255, 40, 30]) if dark else np.array([rng.uniform(130, 200), 20, 20])

    def plate(x0, x1, y0, y1, at_front, rgb):
        depth = (z + 0.02) * (1 if at_front else -1)
        mesh.quad([(x0, y0, depth), (x1, y0, depth), (x1, y1, depth), (x0, y1, depth)], rgb, CAR, inside)

    for at_front, rgb in ((True, front), (False, tail)):
        for s in (-1, 1):
            a, b = sorted((s * (x - 0.06), s * (x - 0.36)))
            plate(a, b, lamp_y - 0.09, lamp_y + 0.1, at_front, rgb)
        plate(-x + 0.02, x - 0.02, 0.28, 0.46, at_front, (45, 45, 48))
        plate(-0.26, 0.26, 0.48, 0.6, at_front, (225, 225, 220) if at_front else (225, 195, 60))
    plate(-0.4, 0.4, lamp_y - 0.07, lamp_y + 0.06, True, (30, 30, 32))


def _wheel(mesh, edge, end):
    for radius, rgb in ((0.33, (18, 18, 19)), (0.19, (120, 122, 125))):
        ring = np.column_stack([np.full(8, edge), 0.33 + radius * WHEEL[:, 1], end + radius * WHEEL[:, 0]])
        for corners in (ring[[0, 1, 2, 3]], ring[[0, 3, 4, 7]], ring[[4, 5, 6, 7]]):
            mesh.quad(corners, rgb, CAR, np.array([0, 0.33, end]))
