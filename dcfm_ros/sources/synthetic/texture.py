# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pre-drawn pictures with a label channel, kept at several sizes and haze levels."""

import cv2
import numpy as np

from dcfm_ros.compiled import njit

HAZE_LEVELS = 10
CLEAR = 255  # label of a transparent texel


def smooth_noise(rng, height, width, cells, octaves=3):
    """Cloudy noise (height, width) float32 in about -1..1; `cells` blobs across the width."""
    total = np.zeros((height, width), np.float32)
    for k in range(octaves):
        n = max(2, int(cells * 2**k))
        m = max(2, int(np.ceil(n * height / width)))
        small = rng.uniform(-1, 1, (m, n)).astype(np.float32) / 2**k
        total += cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return total


class Texture:
    """A picture (h, w, 4) uint8 RGB + label with reduced copies made when first needed."""

    def __init__(self, picture, haze_rgb):
        self.picture = picture
        self.haze_rgb = haze_rgb
        self.mean = np.array(cv2.sumElems(picture)[:3]) / (picture.shape[0] * picture.shape[1])
        self._label = int(picture[..., 3].min())
        self._reduced, self._copies = {}, {}

    def copy(self, across, down, haze):
        """The picture reduced by 2**across, 2**down, mixed with haze (0..1)."""
        level = round(haze * HAZE_LEVELS)
        key = (across, down, level)
        if key not in self._copies:
            colour, solid = self._reduce(across, down)
            a = level / HAZE_LEVELS
            self._copies[key] = _hazy(colour, solid, self._label, np.float32(1 - a), self.haze_rgb * a)
        return self._copies[key]

    def _reduce(self, across, down):
        """Colour (h, w, 3) and share of opaque texels (h, w) float32 of a reduced copy."""
        if (across, down) not in self._reduced:
            h, w = self.picture.shape[:2]
            size = (max(2, w >> across), max(2, h >> down))
            colour = cv2.cvtColor(self.picture, cv2.COLOR_RGBA2RGB)
            solid = (self.picture[..., 3] != CLEAR).astype(np.float32)
            self._reduced[across, down] = (
                cv2.resize(colour, size, interpolation=cv2.INTER_AREA),
                cv2.resize(solid, size, interpolation=cv2.INTER_AREA),
            )
        return self._reduced[across, down]


@njit(cache=True, nogil=True)
def _hazy(colour, solid, label, keep, haze):
    """Picture (h, w, 4) of a reduced colour, of which `keep` remains below `haze` (3,)."""
    h, w = solid.shape
    out = np.empty((h, w, 4), np.uint8)
    for y in range(h):
        for x in range(w):
            for c in range(3):
                out[y, x, c] = np.uint8(np.float32(colour[y, x, c]) * keep + haze[c])
            out[y, x, 3] = label if solid[y, x] >= 0.5 else CLEAR
    return out
