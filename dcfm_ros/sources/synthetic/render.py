"""Draws one frame of a street, far things first, colour and label in one four-channel canvas."""
import math

import cv2
import numpy as np

from .ground import TILE_M, TILE_PX
from .mesh import CLASS, ORDER
from .outline import SCALE, SHIFT, fill, fixed, outline_bars, outline_quads
from .sky import draw_backdrop
from .street import VIEW_M
from ..classes import BUILDING, PAVEMENT, TREE

BEHIND_M = 7.0    # things that start this far behind us are dropped; the longest is a van


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
        a = self._haze(depth)[:, None]
        out = np.empty((len(rows), 4))
        out[:, :3] = np.clip(rows[:, :3], 0, 255) * (1 - a) + self.style.haze_rgb * a
        out[:, 3] = rows[:, CLASS]
        return out.tolist()

    def _far(self, camera):
        h, w = self.height, self.width
        x = int(round((self.backdrop.shape[1] - w) / 2 + self.focal * camera.yaw))
        y = int(round(h - camera.horizon(w / 2)))
        x = min(max(x, 0), self.backdrop.shape[1] - w)
        y = min(max(y, 0), h)
        return self.backdrop[y:y + h, x:x + w].copy()

    def _ground(self, canvas, camera, along, mover_shadows):
        h, w = self.height, self.width
        ground = self.street.ground
        left, right = camera.horizon(0), camera.horizon(w)
        haze = self._haze(80.0)
        beyond = ground.beyond * (1 - haze) + self.style.haze_rgb * haze
        cv2.fillConvexPoly(canvas, fixed(np.array([[-1, left + 1], [w, right + 1], [w, 2 * h], [-1, 2 * h]])),
                           (*beyond, PAVEMENT), 8, SHIFT)
        ahead = ground.quads[:, 2, 2] - camera.position[2]      # far end of each piece
        near = (ahead > -4) & (ahead < 220)
        quads, rows = ground.quads[near], ground.rows[near]
        polygons, index, depth = outline_quads(camera, quads)
        order = np.argsort(index, kind="stable")
        colours = self._colours(rows[index[order]], depth[order])
        fill(canvas, [polygons[i] for i in order], colours)
        top = int(np.clip(min(left, right) + 2, 0, h - 1))
        self._ground_texture(canvas[top:], camera, top, mover_shadows)

    def _ground_texture(self, lower, camera, top, mover_shadows):
        """Take grain and shadows away from the ground, which nothing covers yet."""
        ground, rows = self.street.ground, lower.shape[0]
        metre = TILE_M / TILE_PX
        plane = camera.plane(np.zeros(3), np.array([metre, 0, 0]), np.array([0, 0, metre]))
        # Half the resolution is enough for grain and saves most of its cost.
        plane = np.diag([0.5, 0.5, 1.0]) @ _shifted(plane, 0, top)
        grain = cv2.warpPerspective(ground.texture, plane, ((self.width + 1) // 2, (rows + 1) // 2),
                                    flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        grain = cv2.resize(grain, (self.width, rows), interpolation=cv2.INTER_LINEAR)
        # Far away the grain is finer than a pixel and would flicker, so it fades out.
        fade = np.clip(np.arange(rows) * (4.0 / self.focal / self.style.cam_height) - 0.08, 0, 1)
        grain = cv2.multiply(grain, np.repeat((fade * 255).astype(np.uint8)[:, None], self.width, 1), scale=1 / 255)
        shade = np.zeros_like(grain)
        ahead = ground.shadows[:, 0, 2] - camera.position[2]
        close = (ahead > -25) & (ahead < 50)
        quads = np.concatenate([ground.shadows[close], mover_shadows])
        strength = np.concatenate([ground.strength[close],
                                   np.full(len(mover_shadows), max(self.style.shadow, 25.0))])
        polygons, index, depth = outline_quads(camera, quads)
        order = np.argsort(strength[index], kind="stable")
        values = (strength[index] * np.exp(-depth / 120)).tolist()
        offset = np.array([0, top << SHIFT], np.int32)
        for i in order:
            cv2.fillConvexPoly(shade, polygons[i] - offset, values[i], 8, SHIFT)
        grain = cv2.add(grain, shade)
        cv2.subtract(lower, cv2.merge([grain, grain, grain, np.zeros_like(grain)]), dst=lower)

    def _things(self, canvas, camera, along, across, movers):
        """Paint everything upright in order of decreasing distance along the street."""
        street = self.street

        def key(place):
            return place[0] - along + np.abs(place[1] - across)
        polygons, colours, keys = [], [], []
        for batch in (street.batch, movers):
            for quads, rows, place, outline in (
                    (batch.quads, batch.quad_rows, batch.quad_place, outline_quads),
                    (batch.bars, batch.bar_rows, batch.bar_place, outline_bars)):
                ahead = place[0] - along
                near = np.flatnonzero((ahead > -BEHIND_M) & (ahead < VIEW_M))
                if not len(near):
                    continue
                rows = rows[near]
                shapes, index, depth = outline(camera, quads[near], rows)
                polygons += shapes
                colours += self._colours(rows[index], depth)
                keys.append(key(place[:, near[index]]) - rows[index, ORDER] * 1e-3)
        solid = len(polygons)
        walls = np.flatnonzero(np.abs(street.plane_place[:, 0] - along - VIEW_M / 2) < VIEW_M / 2 + BEHIND_M)
        outlines, index, depth = outline_quads(camera, street.plane_quads[walls])
        walls = walls[index]
        trees = np.flatnonzero(np.abs(street.tree_place[:, 0] - along - VIEW_M / 2) < VIEW_M / 2)
        keys += [key(street.plane_place[walls].T), key(street.tree_place[trees].T)]
        draw = cv2.fillConvexPoly
        for i in np.argsort(-np.concatenate(keys), kind="stable").tolist():
            if i < solid:
                draw(canvas, polygons[i], colours[i], 8, SHIFT)
            elif i < solid + len(walls):
                i -= solid
                self._wall(canvas, camera, outlines[i], depth[i], *street.planes[walls[i]])
            else:
                self._tree(canvas, camera, *street.trees[trees[i - solid - len(walls)]])

    def _wall(self, canvas, camera, outline, depth, texture, corner, u_axis, v_axis):
        haze = 1.0 - math.exp(-depth / self.style.haze_m)
        rgb = texture.mean * (1 - haze) + self.style.haze_rgb * haze
        cv2.fillConvexPoly(canvas, outline, (*rgb.tolist(), BUILDING), 8, SHIFT)
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
        plane = camera.plane(corner, u_axis / tw, v_axis / th)
        plane = _shifted(plane, x0, y0)
        cv2.warpPerspective(picture, plane, (x1 - x0, y1 - y0), dst=canvas[y0:y1, x0:x1],
                            flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_TRANSPARENT)

    def _tree(self, canvas, camera, texture, foot, width, height):
        viewed = camera.view(foot)
        if viewed[2] < 2.0:
            return
        scale = camera.focal / viewed[2]
        x, y = camera.pixels(viewed)
        left, top, w, h = x - width * scale / 2, y - height * scale, width * scale, height * scale
        x0, y0 = max(int(left), 0), max(int(top), 0)
        x1, y1 = min(int(left + w) + 1, self.width), min(int(y) + 1, self.height)
        if x1 <= x0 or y1 <= y0:
            return
        size = texture.picture.shape[0]
        picture = texture.copy(*[_reduction(size / w)] * 2, float(self._haze(viewed[2])))
        n = picture.shape[0]
        place = np.array([[w / n, 0, left - x0], [0, h / n, top - y0]])
        piece = cv2.warpAffine(picture, place, (x1 - x0, y1 - y0), flags=cv2.INTER_NEAREST,
                               borderMode=cv2.BORDER_CONSTANT, borderValue=(0, 0, 0, 255))
        mask = cv2.inRange(piece, (0, 0, 0, TREE), (255, 255, 255, TREE))
        cv2.copyTo(piece, mask, canvas[y0:y1, x0:x1])


def _reduction(texels_per_pixel):
    """How often to halve a texture so that no more than about 1.5 texels meet one pixel."""
    return min(max(round(math.log2(max(texels_per_pixel, 1e-3)) - 0.1), 0), 5)


def _shifted(plane, x, y):
    """Homography whose pixels are counted from (x, y)."""
    return plane - np.outer((x, y, 0), plane[2])
