"""Pre-drawn pictures with a label channel, kept at several sizes and haze levels."""
import cv2
import numpy as np

HAZE_LEVELS = 10
CLEAR = 255       # label of a transparent texel


def smooth_noise(rng, height, width, cells, octaves=3):
    """Cloudy noise (height, width) float32 in about -1..1; `cells` blobs across the width."""
    total = np.zeros((height, width), np.float32)
    for k in range(octaves):
        n = max(2, int(cells * 2 ** k))
        m = max(2, int(np.ceil(n * height / width)))
        small = rng.uniform(-1, 1, (m, n)).astype(np.float32)
        total += cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC) / 2 ** k
    return total


class Texture:
    """A picture (h, w, 4) uint8 RGB + label with reduced copies made when first needed."""

    def __init__(self, picture, haze_rgb):
        self.picture = picture
        self.haze_rgb = haze_rgb
        self.mean = picture[..., :3].reshape(-1, 3).mean(0)
        self._copies = {}

    def copy(self, across, down, haze):
        """The picture reduced by 2**across, 2**down, mixed with haze (0..1)."""
        level = int(round(haze * HAZE_LEVELS))
        key = (across, down, level)
        if key not in self._copies:
            h, w = self.picture.shape[:2]
            size = (max(2, w >> across), max(2, h >> down))
            colour = cv2.resize(np.ascontiguousarray(self.picture[..., :3]), size,
                                interpolation=cv2.INTER_AREA).astype(np.float32)
            solid = np.ascontiguousarray(self.picture[..., 3] != CLEAR).astype(np.float32)
            keep = cv2.resize(solid, size, interpolation=cv2.INTER_AREA) >= 0.5
            a = level / HAZE_LEVELS
            out = np.full((size[1], size[0], 4), CLEAR, np.uint8)
            out[..., :3] = colour * (1 - a) + self.haze_rgb * a
            out[keep, 3] = self.picture[..., 3].min()
            self._copies[key] = out
        return self._copies[key]
