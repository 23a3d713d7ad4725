# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Draws one frame of a street, far things first, colour and label in one four-channel canvas."""

import math

import cv2
import numpy as np

from dcfm_ros.compiled import njit
from dcfm_ros.sources.classes import BUILDING, PAVEMENT, TREE
from dcfm_ros.sources.synthetic.ground import TILE_M, TILE_PX, darken
from dcfm_ros.sources.synthetic.mesh import CLASS, ORDER
from dcfm_ros.sources.synthetic.outline import SCALE, SHIFT, fill, fixed, outline_bars, outline_quads
from dcfm_ros.sources.synthetic.sky import draw_backdrop
from dcfm_ros.sources.synthetic.street import VIEW_M

BEHIND_M = 7.0  # things that start this far behind us are dropped; the longest is a van


class Renderer:
    """Renders frames of one shot at one size."""

    def __init__(self, rng, style, street, width, height):
        self.style, self.street = style, street
        self.width, self.height = width, height
        self.focal = width / 2 / np.tan(style.fov / 2)
        self.backdrop = draw_backdrop(rng, style, width, height, self.focal)

    def draw(self, camera, along, across, movers, mover_shadows):
        """Canvas (H, W, 4) uint8, RGB + label, as seen by `camera` at a place on the road."""
        canvas = self._far(camera)
        self._ground(canvas, camera, along, mover_shadows)
        self._things(canvas, camera, along, across, movers)
        return canvas

    def _haze(self, depth):
        return 1.0 - np.exp(-np.asarray(depth) / self.style.haze_m)

    def _colours(self, rows, depth):
        """Rows of colour and label, mixed with haze, as tuples cv2 takes quickly."""
        return list(zip(*_hazy(rows, depth, self.style.haze_m, self.style.haze_rgb).tolist()))

    def _far(self, camera):
        h, w = self.height, self.width
        x = round((self.backdrop.shape[1] - w) / 2 + self.focal * camera.yaw)
        y = round(h - camera.horizon(w / 2))
        x = min(max(x, 0), self.backdrop.shape[1] - w)
        y = min(max(y, 0), h)
        return self.backdrop[y : y + h, x : x + w].copy()

    def _ground(self, canvas, camera, along, mover_shadows):
        h, w = self.height, self.width
        ground = self.street.ground
        left, right = camera.horizon(0), camera.horizon(w)
        haze = self._haze(80.0)
        beyond = ground.beyond * (1 - haze) + self.style.haze_rgb * haze
        cv2.fillConvexPoly(
            canvas,
            fixed(np.array([[-1, left + 1], [w, right + 1], [w, 2 * h], [-1, 2 * h]])),
            (*beyond, PAVEMENT),
            8,
            SHIFT,
        )
        ahead = ground.quads[:, 2, 2] - camera.position[2]  # far end of each piece
        near = np.flatnonzero((ahead > -4) & (ahead < 220))
        polygons, index, depth = outline_quads(camera, ground.quads, chosen=near)
        order = np.argsort(index, kind="stable")
        colours = self._colours(ground.rows[index[order]], depth[order])
        fill(canvas, [polygons[i] for i in order], colours)
        top = int(np.clip(min(left, right) + 2, 0, h - 1))
        self._ground_texture(canvas[top:], camera, top, mover_shadows)

    def _ground_texture(self, lower, camera, top, mover_shadows):
        """Take grain and shadows away from the ground, which nothing covers yet."""
        ground, rows = self.street.ground, lower.shape[0]
        metre = TILE_M / TILE_PX
        plane = camera.plane(np.zeros(3), np.array([metre, 0, 0]), np.array([0, 0, metre]), 0, top)
        # Half the resolution is enough for grain and saves most of its cost.
        plane[:2] *= 0.5
        grain = cv2.warpPerspective(
            ground.texture,
            plane,
            ((self.width + 1) // 2, (rows + 1) // 2),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_WRAP,
        )
        grain = cv2.resize(grain, (self.width, rows), interpolation=cv2.INTER_LINEAR)
        # Far away the grain is finer than a pixel and would flicker, so it fades out.
        fade = np.clip(np.arange(rows) * (4.0 / self.focal / self.style.cam_height) - 0.08, 0, 1)
        shade = np.zeros_like(grain)
        ahead = ground.shadows[:, 0, 2] - camera.position[2]
        close = (ahead > -25) & (ahead < 50)
        quads = np.concatenate([ground.shadows[close], mover_shadows])
        strength = np.concatenate(
            [ground.strength[close], np.full(len(mover_shadows), max(self.style.shadow, 25.0))]
        )
        polygons, index, depth = outline_quads(camera, quads)
        order = np.argsort(strength[index], kind="stable")
        values = (strength[index] * np.exp(-depth / 120)).tolist()
        offset = np.array([0, top << SHIFT], np.int32)
        for i in order:
            cv2.fillConvexPoly(shade, polygons[i] - offset, values[i], 8, SHIFT)
        darken(lower, grain, (fade * 255).astype(np.uint8), shade)

    def _things(self, canvas, camera, along, across, movers):
        """Paint everything upright in order of decreasing distance along the street."""
        street = self.street

        def key(place):
            return place[0] - along + np.abs(place[1] - across)

        polygons, colours, keys = [], [], []
        for batch in (street.batch, movers):
            for quads, rows, place, outline in (
                (batch.quads, batch.quad_rows, batch.quad_place, outline_quads),
                (batch.bars, batch.bar_rows, batch.bar_place, outline_bars),
            ):
                ahead = place[0] - along
                near = np.flatnonzero((ahead > -BEHIND_M) & (ahead < VIEW_M))
                if not len(near):
                    continue
                shapes, index, depth = outline(camera, quads, rows, near)
                rows = rows[index]
                polygons += shapes
                colours += self._colours(rows, depth)
                keys.append(key(place[:, index]) - rows[:, ORDER] * 1e-3)
        solid = len(polygons)
        walls = np.flatnonzero(np.abs(street.plane_place[:, 0] - along - VIEW_M / 2) < VIEW_M / 2 + BEHIND_M)
        outlines, walls, depth = outline_quads(camera, street.plane_quads, chosen=walls)
        trees = np.flatnonzero(np.abs(street.tree_place[:, 0] - along - VIEW_M / 2) < VIEW_M / 2)
        feet = camera.view(street.tree_feet[trees])
        spots, depths = camera.pixels(feet).tolist(), feet[:, 2].tolist()
        keys += [key(street.plane_place[walls].T), key(street.tree_place[trees].T)]
        draw = cv2.fillConvexPoly
        for i in np.argsort(-np.concatenate(keys), kind="stable").tolist():
            if i < solid:
                draw(canvas, polygons[i], colours[i], 8, SHIFT)
            elif i < solid + len(walls):
                i -= solid
                self._wall(canvas, camera, outlines[i], depth[i], *street.planes[walls[i]])
            else:
                i -= solid + len(walls)
                self._tree(canvas, camera, depths[i], spots[i], *street.trees[trees[i]])

    def _wall(self, canvas, camera, outline, depth, texture, corner, u_axis, v_axis):
        """A front in one colour, which the texture then covers where it is large enough to be seen."""
        haze = 1.0 - math.exp(-depth / self.style.haze_m)
        rgb = [a * (1 - haze) + b * haze for a, b in zip(texture.mean.tolist(), self.style.haze_rgb.tolist())]
        cv2.fillConvexPoly(canvas, outline, (*rgb, BUILDING), 8, SHIFT)
        x, y = outline.T.tolist()
        x0, x1, y0, y1 = min(x) / SCALE, max(x) / SCALE, min(y) / SCALE, max(y) / SCALE
        extent = x1 - x0, y1 - y0
        if min(extent) < 9:
            return
        x0, y0 = max(int(x0), 0), max(int(y0), 0)
        x1, y1 = min(int(x1) + 2, self.width), min(int(y1) + 2, self.height)
        if x1 <= x0 or y1 <= y0:
            return
        h, w = texture.picture.shape[:2]
        picture = texture.copy(_reduction(w / extent[0]), _reduction(h / extent[1]), haze)
        th, tw = picture.shape[:2]
        plane = camera.plane(corner, u_axis / tw, v_axis / th, x0, y0)
        cv2.warpPerspective(
            picture,
            plane,
            (x1 - x0, y1 - y0),
            dst=canvas[y0:y1, x0:x1],
            flags=cv2.INTER_NEAREST,
            borderMode=cv2.BORDER_TRANSPARENT,
        )

    def _tree(self, canvas, camera, depth, spot, texture, width, height):
        if depth < 2.0:
            return
        scale = camera.focal / depth
        x, y = spot
        left, top, w, h = x - width * scale / 2, y - height * scale, width * scale, height * scale
        x0, y0 = max(int(left), 0), max(int(top), 0)
        x1, y1 = min(int(left + w) + 1, self.width), min(int(y) + 1, self.height)
        if x1 <= x0 or y1 <= y0:
            return
        size = texture.picture.shape[0]
        picture = texture.copy(*[_reduction(size / w)] * 2, 1.0 - math.exp(-depth / self.style.haze_m))
        n = picture.shape[0]
        place = np.array([[w / n, 0, left - x0], [0, h / n, top - y0]])
        piece = cv2.warpAffine(
            picture,
            place,
            (x1 - x0, y1 - y0),
            flags=cv2.INTER_NEAREST,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(0, 0, 0, 255),
        )
        _paste(piece, TREE, canvas[y0:y1, x0:x1])


def _reduction(texels_per_pixel):
    """How often to halve a texture so that no more than about 1.5 texels meet one pixel."""
    return min(max(round(math.log2(max(texels_per_pixel, 1e-3)) - 0.1), 0), 5)


@njit(cache=True, nogil=True)
def _hazy(rows, depth, haze_m, haze_rgb):
    """Channels (4, N) of attribute rows: colour mixed with haze, and the label."""
    out = np.empty((4, len(rows)))
    for i in range(len(rows)):
        haze = 1.0 - math.exp(-depth[i] / haze_m)
        for c in range(3):
            out[c, i] = min(max(rows[i, c], 0.0), 255.0) * (1.0 - haze) + haze_rgb[c] * haze
        out[3, i] = rows[i, CLASS]
    return out


@njit(cache=True, nogil=True)
def _paste(piece, label, canvas):
    """Copy the texels of `piece` (h, w, 4) that have this label."""
    for y in range(canvas.shape[0]):
        for x in range(canvas.shape[1]):
            if piece[y, x, 3] == label:
                for c in range(4):
                    canvas[y, x, c] = piece[y, x, c]
