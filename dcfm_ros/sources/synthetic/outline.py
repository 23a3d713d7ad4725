"""From 3-D quads and bars to the pixel polygons that are filled."""
import cv2
import numpy as np

from .camera import NEAR, clip_near
from .mesh import CAP, CULL, MIN_PX, RADIUS

SHIFT = 4                 # fixed-point bits of polygon corners
SCALE = 1 << SHIFT
FAR_PX = 12000            # corners are held within this many pixels, for the fixed point
DISC = np.array([[1, .41], [.41, 1], [-.41, 1], [-1, .41], [-1, -.41], [-.41, -1], [.41, -1], [1, -.41]], np.float32)


def fixed(pixels):
    """Pixels (..., 2) as fixed-point integers for cv2.fillConvexPoly."""
    return np.rint(np.clip(pixels, -FAR_PX, FAR_PX) * SCALE).astype(np.int32)


def outline_quads(camera, quads, rows=None):
    """Visible quads: (list of polygons (K, 2) fixed point, their indices (V,), depths (V,))."""
    if rows is not None:    # faces seen from behind are hidden by their own body
        a, b = (quads[:, 2] - quads[:, 0]).T, (quads[:, 3] - quads[:, 1]).T
        x, y, z = (camera.position - quads[:, 0]).T
        towards = (a[1] * b[2] - a[2] * b[1]) * x + (a[2] * b[0] - a[0] * b[2]) * y + (a[0] * b[1] - a[1] * b[0]) * z
        index = np.flatnonzero((rows[:, CULL] == 0) | (towards > 0))
        quads = quads[index]
    else:
        index = np.arange(len(quads))
    viewed = camera.view(quads)
    front = viewed[..., 2] > NEAR
    count = front.sum(1)
    pixels = camera.pixels(viewed)
    low, high = pixels.min(1), pixels.max(1)
    size = (high - low).max(1)
    least = 1.0 if rows is None else 1.0 + 2.0 * rows[index, CULL]   # details of far bodies are left out
    inside = ((high >= 0) & (low <= (camera.width, camera.height))).all(1) & (size > least)
    whole = np.flatnonzero((count == 4) & inside)
    polygons = list(fixed(pixels[whole]))
    cut = np.flatnonzero((count > 0) & (count < 4))
    for i in cut:
        polygons.append(fixed(camera.pixels(clip_near(viewed[i]))))
    chosen = np.concatenate([whole, cut])
    return polygons, index[chosen], viewed[chosen, :, 2].mean(1).clip(NEAR)


def outline_bars(camera, bars, rows):
    """Visible bars as octagons: (polygons (8 or 4, 2) fixed point, indices (V,), depths (V,))."""
    viewed = camera.view(bars)
    ahead = (viewed[..., 2] > NEAR)
    index = np.flatnonzero(ahead.any(1))
    viewed, ahead = viewed[index], ahead[index]
    a, b = viewed[:, 0], viewed[:, 1]
    step = b - a            # bring an end behind the lens to the near plane
    lack = np.where(np.abs(step[:, 2]) < 1e-6, 1e-6, step[:, 2])
    share = ((NEAR - a[:, 2]) / lack)[:, None]
    a2 = np.where(ahead[:, :1], a, a + share * step)
    b2 = np.where(ahead[:, 1:], b, a + share * step)
    depth = np.stack([a2[:, 2], b2[:, 2]], 1)
    p, q = camera.pixels(a2), camera.pixels(b2)
    half = np.maximum(camera.focal * rows[index, RADIUS, None] / depth,
                      rows[index, MIN_PX, None] / 2 - 0.25)   # filling adds about half a pixel
    along = q - p
    long = np.linalg.norm(along, axis=1, keepdims=True)
    along = np.where(long > 1e-3, along / np.maximum(long, 1e-3), (0.0, 1.0)).astype(np.float32)
    across = along[:, ::-1] * np.array([-1, 1], np.float32)
    cap = rows[index, CAP, None, None]
    # Corners 0-3 round off the far end, 4-7 the near end; `cap` 0 leaves a square end.
    ends = np.where((DISC[:, 1] > 0)[None, :, None], q[:, None], p[:, None])
    radius = np.where((DISC[:, 1] > 0)[None], half[:, 1:], half[:, :1])[..., None]
    sideways = DISC[None, :, 0, None] * cap + np.sign(DISC[None, :, 0, None]) * (1 - cap)
    pixels = (ends + radius * sideways * across[:, None]
              + radius * cap * DISC[None, :, 1, None] * along[:, None])
    low, high = pixels.min(1), pixels.max(1)
    seen = np.flatnonzero(((high >= 0) & (low <= (camera.width, camera.height))).all(1))
    corners = fixed(pixels[seen])
    plain = ((cap[seen, 0, 0] == 0) | (half[seen].max(1) < 1.2)).tolist()
    four = np.ascontiguousarray(corners[:, ::2])
    polygons = [f if p else c for f, c, p in zip(four, corners, plain)]
    return polygons, index[seen], depth[seen].mean(1)


def fill(canvas, polygons, colours):
    """Fill polygons in order; colour and label are one write, so they cannot disagree."""
    draw = cv2.fillConvexPoly
    for polygon, colour in zip(polygons, colours):
        draw(canvas, polygon, colour, 8, SHIFT)
