# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Everything that stands still: where houses, trees, furniture, fences and parked cars are."""

import numpy as np

from dcfm_ros.sources.classes import BUILDING
from dcfm_ros.sources.synthetic.facade import draw_facade, wall_colour
from dcfm_ros.sources.synthetic.furniture import (
    FenceStyle,
    hanging_sign,
    lamp_post,
    plain_post,
    traffic_light,
    traffic_sign,
)
from dcfm_ros.sources.synthetic.ground import Ground
from dcfm_ros.sources.synthetic.mesh import Batch, Mesh
from dcfm_ros.sources.synthetic.texture import Texture
from dcfm_ros.sources.synthetic.tree import draw_tree
from dcfm_ros.sources.synthetic.vehicles import draw_vehicle

VIEW_M = 100.0  # nothing beyond is drawn, save what the backdrop shows


class Street:
    """Static world of one shot; all positions in metres."""

    def __init__(self, rng, style, road):
        self.style, self.road = style, road
        self.dark = style.mood == "dusk"
        self.length = style.length + VIEW_M
        self.ground = Ground(rng, style, road, self.length)
        self.facades = [Texture(draw_facade(rng, self.dark), style.haze_rgb) for _ in range(9)]
        self.vehicles = [draw_vehicle(rng, style.faces, self.dark) for _ in range(9)]
        self.tree_pictures = [Texture(draw_tree(rng), style.haze_rgb) for _ in range(4)]
        self._placed: list[tuple] = []  # (shape, along, across)
        self.planes: list[tuple] = []  # textured walls: (texture, corner, u axis, v axis)
        self.trees: list[tuple] = []  # (texture, width, height)
        self._plane_places: list[tuple] = []
        self._tree_places: list[tuple] = []
        self._tree_feet: list = []
        for right in (0, 1):
            self._side(rng, right, (-1, 1)[right])
        shapes, along, across = zip(*self._placed)
        self.batch = Batch(shapes, along, across)
        self.plane_place = np.array(self._plane_places, np.float32).reshape(-1, 2)
        self.tree_place = np.array(self._tree_places, np.float32).reshape(-1, 2)
        self.tree_feet = np.array(self._tree_feet).reshape(-1, 3)
        self.plane_quads = np.array(
            [[c, c + u, c + u + v, c + v] for _, c, u, v in self.planes], np.float32
        ).reshape(-1, 4, 3)
        self.ground.freeze()

    def _side(self, rng, right, sign):
        gaps = self.ground.gaps[right]
        self._houses(rng, right, sign, gaps)
        self._fences(rng, right, sign, gaps)
        self._row(rng, right, sign, gaps)
        self._parked(rng, right, sign, gaps)

    def _put(self, shape, along, across, turn=0.0):
        """Stand a shape beside the road, aligned with it; returns its foot."""
        foot = self.road.points(along, across)
        self._placed.append((shape.at(foot, self.road.heading_at(along) + turn), along, across))
        return foot

    def _houses(self, rng, right, sign, gaps):
        style = self.style
        front = style.kerb(right) + style.pavement[right] + style.setback[right]
        s, last = -14.0, -99.0
        while s < self.length:
            gap = next((g for g in gaps if g[0] - 1 <= s <= g[1] + 1), None)
            if gap:
                s = gap[1] + 1.5
                continue
            end = s + rng.uniform(7, 17)
            ahead = [g[0] for g in gaps if g[0] > s]
            if ahead:
                end = min(end, min(ahead) - 1.0)
            if end - s > 4 and rng.random() < style.built:
                self._house(rng, sign, s, end, front + rng.choice([0.0, 0.0, 0.6]), detached=s > last + 0.5)
                last = end
            else:  # an open plot with trees at the back
                for along in np.arange(s, end, 4.5):
                    self._tree(rng, along, sign * (front + rng.uniform(2, 8)))
            s = end + (rng.uniform(1, 4) if rng.random() < 0.2 else 0.0)

    def _house(self, rng, sign, s0, s1, front, detached):
        road, height = self.road, float(np.clip(rng.normal(9.5, 2.5), 5.5, 15))
        depth = rng.uniform(7, 11)
        texture = self.facades[rng.integers(len(self.facades))]
        near, far = road.points(np.array([s0, s1]), sign * front)
        back = road.points(s0, sign * (front + depth))
        up = np.array([0, height, 0])
        place = (s1, sign * front)
        left, right = (near, far) if sign < 0 else (far, near)
        mesh = Mesh()
        walls = [(left, right)]
        if detached:
            walls.append((near, back))
        else:  # mostly hidden by the house next door
            mesh.quad([near, back, back + up, near + up], texture.mean * 0.9, BUILDING)
        for a, b in walls:
            self.planes.append((texture, a + up, b - a, -up))
            self._plane_places.append(place)
        if rng.random() < 0.6:  # a pitched roof, eaves to ridge
            rise = np.array([0, rng.uniform(1.5, 3.5), 0])
            ridge0, ridge1 = (near + back) / 2 + up + rise, far + (back - near) / 2 + up + rise
            tiles = (
                np.array([110, 75, 62]) * rng.uniform(0.5, 1.2)
                if rng.random() < 0.6
                else wall_colour(rng) * 0.6
            )
            mesh.quad([near + up, far + up, ridge1, ridge0], tiles, BUILDING)
            mesh.quad([near + up, back + up, ridge0, ridge0], texture.mean * 0.9, BUILDING)
            if rng.random() < 0.6:
                for k in (0.0, 0.12):
                    a = ridge0 + (ridge1 - ridge0) * (0.1 + k)
                    b = ridge0 + (ridge1 - ridge0) * (0.22 if k else 0.1) + (back - near) * 0.08
                    lift = np.array([0, 1.3, 0])
                    mesh.quad([a, b, b + lift, a + lift], texture.mean * 0.8, BUILDING)
        self._placed.append((mesh.freeze(), s1 + 0.01, place[1]))
        self.ground.cast_wall(near, far, height)
        if rng.random() < 0.4:
            shape, _ = hanging_sign(rng, -sign)
            self._put(shape, rng.uniform(s0, s1), sign * front)

    def _tree(self, rng, along, across):
        height = rng.uniform(5, 10)
        foot = self.road.points(along, across)
        self._tree_feet.append(foot)
        self.trees.append(
            (
                self.tree_pictures[rng.integers(len(self.tree_pictures))],
                height * rng.uniform(0.75, 1.0),
                height,
            )
        )
        self._tree_places.append((along, across))
        self.ground.cast_post(foot, height, 0.12)
        self.ground.cast_blob(foot, height * 0.6, height * 0.3)

    def _fences(self, rng, right, sign, gaps):
        style = self.style
        kerb, back = style.kerb(right), style.kerb(right) + style.pavement[right]
        fence = FenceStyle(rng, style.faces)
        s = rng.uniform(-8, 2)
        while s < self.length:
            end = s + rng.uniform(10, 34)
            at_kerb = rng.random() < 0.35 and not style.parking[right]
            across = sign * (kerb + 0.35 if at_kerb else back - 0.05)
            for a in np.arange(s, end, 2.0):
                if not _in_gap(a, gaps, 2.0):
                    points = self.road.points(np.array([a, a + 2.0]), across)
                    self._placed.append((fence.piece(rng, points), a if at_kerb else a + 2.0, across))
            s = end + rng.uniform(3, 16)
            if rng.random() < 0.3:
                fence = FenceStyle(rng, style.faces)

    def _row(self, rng, right, sign, gaps):
        """Street trees, lamps, signs and posts along the kerb."""
        style = self.style
        line = style.kerb(right) + 0.5
        for s in np.arange(rng.uniform(-4, 8), self.length, rng.uniform(18, 30)):
            if not _in_gap(s, gaps, 0.5):
                shape, h = lamp_post(rng, -sign)
                self.ground.cast_post(self._put(shape, s, sign * line), h, 0.1)
        for s in np.arange(rng.uniform(0, 8), self.length, rng.uniform(7, 12)):
            if rng.random() < 0.8 and not _in_gap(s, gaps, 0.3):
                make = rng.choice([traffic_sign, traffic_light, plain_post], p=[0.56, 0.16, 0.28])
                shape, h = make(rng)
                foot = self._put(shape, s, sign * (line + rng.uniform(-0.1, 0.4)), rng.normal(0, 0.15))
                self.ground.cast_post(foot, h, 0.07)
        s = rng.uniform(2, 12)
        while s < self.length:
            if rng.random() < style.leafy * 0.55 and not _in_gap(s, gaps, 1.0):
                self._tree(rng, s, sign * (line + 0.4))
            s += rng.uniform(8, 14)

    def _parked(self, rng, right, sign, gaps):
        style = self.style
        if not style.parking[right]:
            return
        across = sign * (style.kerb(right) - 1.05)
        s, density = rng.uniform(3, 12), rng.uniform(0.35, 0.9)
        while s < self.length:
            shape, width, length = self.vehicles[rng.integers(len(self.vehicles))]
            middle = s + length / 2
            if rng.random() < density and not _in_gap(middle, gaps, 4.0):
                turned = np.pi * ((sign != style.side) ^ (rng.random() < 0.1))
                foot = self._put(shape, middle, across + rng.normal(0, 0.08), turned + rng.normal(0, 0.02))
                _, along, d = self._placed[-1]
                self._placed[-1] = (self._placed[-1][0], along - length / 2, d)
                self.ground.cast_car(foot, self.road.heading_at(middle), width, length)
            s += length + rng.uniform(0.6, 2.0)


def _in_gap(s, gaps, margin):
    return any(a - margin <= s <= b + margin for a, b in gaps)
