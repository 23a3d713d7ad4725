# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Projects 3-D quads and bars to the pixel polygons that are filled.

The loops are compiled. They use 32-bit numbers, so constants in them are 32-bit as well.
"""

import cv2
import numpy as np

from dcfm_ros.compiled import njit
from dcfm_ros.sources.synthetic.camera import NEAR, bring_forward, clip_near, in_view, to_pixels
from dcfm_ros.sources.synthetic.mesh import CAP, CULL, MIN_PX, RADIUS

SHIFT = 4  # fixed-point bits of polygon corners
SCALE = 1 << SHIFT
FAR_PX = 12000  # corners are held within this many pixels, for the fixed point
DISC = np.array(
    [[1, 0.41], [0.41, 1], [-0.41, 1], [-1, 0.41], [-1, -0.41], [-0.41, -1], [0.41, -1], [1, -0.41]],
    np.float32,
)

_NEAR, _ZERO, _HALF, _ONE, _TWO = (np.float32(x) for x in (NEAR, 0, 0.5, 1, 2))
_QUARTER, _THIN, _SHORT = (np.float32(x) for x in (0.25, 1.2, 1e-3))
_MARGIN = np.float32(2)  # pixels; filling a polygon further outside than this changes nothing
_NO_ROWS = np.zeros((0, 6), np.float32)


def fixed(pixels):
    """Pixels (..., 2) as fixed-point integers for cv2.fillConvexPoly."""
    return np.rint(np.clip(pixels, -FAR_PX, FAR_PX) * SCALE).astype(np.int32)


def outline_quads(camera, quads, rows=None, chosen=None):
    """Visible quads among those `chosen` (indices): (list of polygons (K, 2), indices (V,), depths (V,)).

    With `rows` faces seen from behind and small details are left out. Quads that reach behind the lens come
    last.
    """
    chosen = np.arange(len(quads)) if chosen is None else chosen
    points, ends, whole, index, depth = _quads(camera.lens, quads, _NO_ROWS if rows is None else rows, chosen)
    same = 4 * whole  # corners of polygons with four of them, which are quick to take apart
    polygons = list(points[:same].reshape(-1, 4, 2)) + _pieces(points[same:], ends[whole:] - same)
    return polygons, index, depth


def outline_bars(camera, bars, rows, chosen):
    """Visible bars among those `chosen` as octagons: (polygons (8 or 4, 2), indices (V,), depths (V,))."""
    points, ends, index, depth = _bars(camera.lens, bars, rows, chosen)
    return _pieces(points, ends), index, depth


def fill(canvas, polygons, colours):
    """Fill polygons in order; colour and label are one write, so they cannot disagree."""
    draw = cv2.fillConvexPoly
    for polygon, colour in zip(polygons, colours):
        draw(canvas, polygon, colour, 8, SHIFT)


def _pieces(points, ends):
    """Cut the corners of all polygons (N, 2), which follow each other, into one array per polygon."""
    ends = ends.tolist()
    return [points[a:b] for a, b in zip([0, *ends], ends)]


@njit(cache=True, nogil=True)
def _fix(pixel):
    far = np.float32(FAR_PX)
    return np.int32(np.rint(min(max(pixel, -far), far) * np.float32(SCALE)))


@njit(cache=True, nogil=True)
def _box(pixels, count):
    """Bounds (left, top, right, bottom) of the first `count` pixels."""
    left = right = pixels[0, 0]
    top = bottom = pixels[0, 1]
    for k in range(1, count):
        left, right = min(left, pixels[k, 0]), max(right, pixels[k, 0])
        top, bottom = min(top, pixels[k, 1]), max(bottom, pixels[k, 1])
    return left, top, right, bottom


@njit(cache=True, nogil=True)
def _outside(lens, box, margin):
    left, top, right, bottom = box
    return right < -margin or bottom < -margin or left > lens[4] + margin or top > lens[5] + margin


@njit(cache=True, nogil=True)
def _faces(eye, quad):
    """Whether the corners run the way round that marks the front of a face, as seen from `eye`."""
    ax, ay, az = quad[2, 0] - quad[0, 0], quad[2, 1] - quad[0, 1], quad[2, 2] - quad[0, 2]
    bx, by, bz = quad[3, 0] - quad[1, 0], quad[3, 1] - quad[1, 1], quad[3, 2] - quad[1, 2]
    x, y, z = eye[0] - quad[0, 0], eye[1] - quad[0, 1], eye[2] - quad[0, 2]
    return (ay * bz - az * by) * x + (az * bx - ax * bz) * y + (ax * by - ay * bx) * z > _ZERO


@njit(cache=True, nogil=True)
def _quads(lens, quads, rows, chosen):
    n = len(chosen)
    points, ends = np.empty((6 * n, 2), np.int32), np.empty(n, np.int64)
    index, depth = np.empty(n, np.int64), np.empty(n, np.float32)
    viewed, clipped, pixels = (
        np.empty((4, 3), np.float32),
        np.empty((6, 3), np.float32),
        np.empty((6, 2), np.float32),
    )
    end = found = late = np.int64(0)  # one type throughout, or helpers would be compiled twice
    cut = np.empty(n, np.int64)
    for i in chosen:
        cull = len(rows) > 0 and rows[i, CULL] != _ZERO
        if cull and not _faces(lens[0], quads[i]):
            continue
        front = 0
        for k in range(4):
            in_view(lens, quads[i, k], viewed[k])
            front += viewed[k, 2] > _NEAR
        if front == 0:
            continue
        if front < 4:
            cut[late] = i
            late += 1
            continue
        for k in range(4):
            to_pixels(lens, viewed[k], pixels[k])
        box = _box(pixels, 4)
        # Details of far bodies are left out.
        least = _ONE + _TWO * rows[i, CULL] if len(rows) > 0 else _ONE
        if _outside(lens, box, _ZERO) or not max(box[2] - box[0], box[3] - box[1]) > least:
            continue
        end = _keep(points, end, pixels, 4, 1)
        ends[found], index[found], depth[found] = end, i, _mean_depth(viewed)
        found += 1
    whole = found
    for i in cut[:late]:
        for k in range(4):
            in_view(lens, quads[i, k], viewed[k])
        count = clip_near(viewed, clipped)
        for k in range(count):
            to_pixels(lens, clipped[k], pixels[k])
        if count == 0 or _outside(lens, _box(pixels, count), _MARGIN):
            continue
        end = _keep(points, end, pixels, count, 1)
        ends[found], index[found], depth[found] = end, i, _mean_depth(viewed)
        found += 1
    return points[:end], ends[:found], whole, index[:found], depth[:found]


@njit(cache=True, nogil=True)
def _keep(points, end, pixels, count, step):
    """Append every `step`-th of so many pixels as a polygon to `points`; returns the new end."""
    for k in range(0, count, step):
        points[end, 0], points[end, 1] = _fix(pixels[k, 0]), _fix(pixels[k, 1])
        end += 1
    return end


@njit(cache=True, nogil=True)
def _mean_depth(viewed):
    return max((viewed[0, 2] + viewed[1, 2] + viewed[2, 2] + viewed[3, 2]) * _QUARTER, _NEAR)


@njit(cache=True, nogil=True)
def _bars(lens, bars, rows, chosen):
    n = len(chosen)
    points, ends = np.empty((8 * n, 2), np.int32), np.empty(n, np.int64)
    index, depth = np.empty(n, np.int64), np.empty(n, np.float32)
    viewed, pixels = np.empty((2, 3), np.float32), np.empty((2, 2), np.float32)
    corners = np.empty((8, 2), np.float32)
    end = found = np.int64(0)
    for i in chosen:
        in_view(lens, bars[i, 0], viewed[0])
        in_view(lens, bars[i, 1], viewed[1])
        if not bring_forward(viewed):
            continue
        to_pixels(lens, viewed[0], pixels[0])
        to_pixels(lens, viewed[1], pixels[1])
        least = rows[i, MIN_PX] * _HALF - _QUARTER  # filling adds about half a pixel
        near = max(lens[2] * rows[i, RADIUS] / viewed[0, 2], least)
        far = max(lens[2] * rows[i, RADIUS] / viewed[1, 2], least)
        _octagon(pixels, near, far, rows[i, CAP], corners)
        if _outside(lens, _box(corners, 8), _ZERO):
            continue
        plain = rows[i, CAP] == _ZERO or max(near, far) < _THIN  # four corners are enough
        end = _keep(points, end, corners, 8, 2 if plain else 1)
        ends[found], index[found], depth[found] = end, i, (viewed[0, 2] + viewed[1, 2]) * _HALF
        found += 1
    return points[:end], ends[:found], index[:found], depth[:found]


@njit(cache=True, nogil=True)
def _octagon(ends, near, far, cap, corners):
    """Corners (8, 2) around a bar between two pixels (2, 2) with these half widths.

    Corners 0-3 round off the far end, 4-7 the near end; `cap` 0 leaves a square end.
    """
    dx, dy = ends[1, 0] - ends[0, 0], ends[1, 1] - ends[0, 1]
    long = np.sqrt(dx * dx + dy * dy)
    dx, dy = (dx / long, dy / long) if long > _SHORT else (_ZERO, _ONE)
    for k in range(8):
        end, radius = (1, far) if k < 4 else (0, near)
        sideways = radius * (DISC[k, 0] * cap + np.sign(DISC[k, 0]) * (_ONE - cap))
        onward = radius * cap * DISC[k, 1]
        corners[k, 0] = ends[end, 0] + sideways * -dy + onward * dx
        corners[k, 1] = ends[end, 1] + sideways * dx + onward * dy
