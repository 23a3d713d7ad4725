# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Flat polygons and round bars, the two shapes everything in the street is made of.

Local and world coordinates are in metres: x right, y up, z forward.
"""

import numpy as np

from dcfm_ros.compiled import njit

# Columns of the attribute rows.
R, G, B, CLASS, ORDER = range(5)
CULL = 5  # quads: hide the face when seen from behind
RADIUS, CAP, MIN_PX = 5, 6, 7  # bars: metres, rounding of the ends 0..1, least width in pixels


class Mesh:
    """A growing list of quads and bars, in drawing order."""

    def __init__(self):
        self._quads, self._quad_rows = [], []
        self._bars, self._bar_rows = [], []
        self._order = 0

    def quad(self, corners, rgb, cls, inside=None):
        """Add a quad; with a point `inside` its body it is hidden when seen from behind."""
        corners = np.asarray(corners, np.float32)
        if inside is not None:
            (ax, ay, az), (bx, by, bz) = (
                (corners[2] - corners[0]).tolist(),
                (corners[3] - corners[1]).tolist(),
            )
            out = (corners[0] - inside).tolist()
            if (
                (ay * bz - az * by) * out[0] + (az * bx - ax * bz) * out[1] + (ax * by - ay * bx) * out[2]
            ) < 0:
                corners = corners[::-1]
        self._quads.append(corners)
        self._quad_rows.append((*rgb, cls, self._order, inside is not None))
        self._order += 1

    def bar(self, start, end, radius, rgb, cls, cap=0.0, min_px=0.0):
        """Add a round bar from `start` to `end` (a disc or ball when they coincide)."""
        self._bars.append((start, end))
        self._bar_rows.append((*rgb, cls, self._order, radius, cap, min_px))
        self._order += 1

    def box(self, low, high, rgb, cls, shade, top_inset=(0.0, 0.0, 0.0)):
        """Add a box between two corners; the top shrinks by (sides, rear, front) metres."""
        (x0, y0, z0), (x1, y1, z1) = low, high
        side, rear, front = top_inset
        base = [(x0, y0, z0), (x1, y0, z0), (x1, y0, z1), (x0, y0, z1)]
        top = [
            (x0 + side, y1, z0 + rear),
            (x1 - side, y1, z0 + rear),
            (x1 - side, y1, z1 - front),
            (x0 + side, y1, z1 - front),
        ]
        inside = np.mean(base + top, axis=0)
        for i in range(4):
            j = (i + 1) % 4
            self.quad([base[i], base[j], top[j], top[i]], np.multiply(rgb, shade[i]), cls, inside)
        self.quad(top, np.multiply(rgb, shade[4]), cls, inside)

    def freeze(self):
        """The finished shape as a Shape of arrays."""
        return Shape(
            np.array(self._quads, np.float32).reshape(-1, 4, 3),
            np.array(self._quad_rows, np.float32).reshape(-1, 6),
            np.array(self._bars, np.float32).reshape(-1, 2, 3),
            np.array(self._bar_rows, np.float32).reshape(-1, 8),
        )


class Shape:
    """Frozen mesh: quads (Q, 4, 3), quad_rows (Q, 6), bars (B, 2, 3), bar_rows (B, 8)."""

    def __init__(self, quads, quad_rows, bars, bar_rows):
        self.quads, self.quad_rows = quads, quad_rows
        self.bars, self.bar_rows = bars, bar_rows

    def at(self, origin, heading):
        """Copy turned by `heading` radians (to the right) and moved to `origin`."""
        poses = _poses(np.reshape(origin, (1, 3)), np.reshape(heading, 1))
        quads, bars = self.quads.copy(), self.bars.copy()
        _place(quads, np.array([len(quads)]), poses)
        _place(bars, np.array([len(bars)]), poses)
        return Shape(quads, self.quad_rows, bars, self.bar_rows)


class Batch:
    """Many placed shapes in flat arrays; `key` is the painter's distance of each shape."""

    def __init__(self, shapes, along, across):
        """`along`, `across`: road coordinates (metres) that order each shape for painting."""
        self.quads = _join([s.quads for s in shapes], (0, 4, 3))
        self.quad_rows = _join([s.quad_rows for s in shapes], (0, 6))
        self.bars = _join([s.bars for s in shapes], (0, 2, 3))
        self.bar_rows = _join([s.bar_rows for s in shapes], (0, 8))
        place = np.array([along, across], np.float32).reshape(2, -1)
        self._quad_counts = np.array([len(s.quads) for s in shapes], np.int64)
        self._bar_counts = np.array([len(s.bars) for s in shapes], np.int64)
        self.quad_place = np.repeat(place, self._quad_counts, axis=1)
        self.bar_place = np.repeat(place, self._bar_counts, axis=1)

    def place(self, origins, headings):
        """Turn and move every shape to its own origin (N, 3) and heading (N,), as Shape.at does."""
        poses = _poses(origins, headings)
        _place(self.quads, self._quad_counts, poses)
        _place(self.bars, self._bar_counts, poses)


def _join(arrays, empty):
    return np.concatenate(arrays) if arrays else np.zeros(empty, np.float32)


def _poses(origins, headings):
    """Rows (cosine, sine, x, y, z) in 32 bits."""
    return np.column_stack([np.cos(headings), np.sin(headings), origins]).astype(np.float32)


@njit(cache=True, nogil=True)
def _place(pieces, counts, poses):
    """Turn and move pieces (P, K, 3) in place; shape i owns the next counts[i] of them and stands at
    poses[i]."""
    end = 0
    for i in range(len(counts)):
        start, end = end, end + counts[i]
        c, s = np.float64(poses[i, 0]), np.float64(poses[i, 1])
        for piece in pieces[start:end]:
            for point in piece:
                # Rounded to 32 bits after every term, as a matrix product of numpy is.
                x, z = np.float64(point[0]), np.float64(point[2])
                point[0] = np.float32(np.float32(x * c) + z * s) + poses[i, 2]
                point[1] += poses[i, 3]
                point[2] = np.float32(z * c - np.float32(x * s)) + poses[i, 4]
