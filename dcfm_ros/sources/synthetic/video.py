# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Procedural street video with exact labels."""

import math
from functools import lru_cache

import numpy as np

from dcfm_ros.sources.classes import STREET11
from dcfm_ros.sources.frame import VideoFrame
from dcfm_ros.sources.synthetic.camera import Camera
from dcfm_ros.sources.synthetic.render import Renderer
from dcfm_ros.sources.synthetic.road import Road
from dcfm_ros.sources.synthetic.sensor import Sensor
from dcfm_ros.sources.synthetic.street import VIEW_M, Street
from dcfm_ros.sources.synthetic.style import Style
from dcfm_ros.sources.synthetic.traffic import Traffic
from dcfm_ros.stamps import NS_PER_S

CLASSES = STREET11  # class ids of the labels
RESERVED_SEEDS = range(1000, 1020)  # evaluation only, never trained on

SHOT_S = (4.0, 8.0)  # shortest and longest shot
_BLOCK = 512  # shot lengths are drawn this many at a time
_CACHED_SHOTS = 3
# First words of the seeds of independent random streams.
_LENGTHS, _WORLD, _NOISE = 1, 2, 3


class SyntheticVideo:
    """An endless drive through random streets: shots of 4-8 s with hard cuts between them.

    Every frame is a pure function of (seed, width, height, rate_hz, index).

    seed: which video, 0 or more; RESERVED_SEEDS are for evaluation only
    width, height: pixels, at least 32 each
    rate_hz: frames per second
    """

    length = None  # endless
    class_table = CLASSES

    def __init__(self, seed: int, width: int = 480, height: int = 360, rate_hz: float = 15.0):
        if seed < 0:
            raise ValueError(f"seed is {seed}; give a whole number of 0 or more")
        if width < 32 or height < 32:
            raise ValueError(f"size is {width}x{height}; give at least 32x32 pixels")
        if not (rate_hz > 0 and math.isfinite(rate_hz)):
            raise ValueError(f"rate_hz is {rate_hz}; give a number of frames per second above 0")
        self.seed, self.width, self.height, self.rate_hz = int(seed), int(width), int(height), float(rate_hz)
        self._starts = np.zeros(1)  # start of each known shot, seconds
        self._shot = lru_cache(maxsize=_CACHED_SHOTS)(self._make_shot)

    def frame(self, index: int) -> VideoFrame:
        """Frame number `index`: image (H, W, 3) uint8 RGB and label (H, W) uint8, ids 0..10."""
        if index < 0:
            raise ValueError(f"index is {index}; frames are counted from 0")
        number = self._shot_of(index)
        t = index / self.rate_hz - self._starts[number]
        image, label = self._shot(number).frame(t, (self.seed, _NOISE, index))
        return VideoFrame(index, round(index * NS_PER_S / self.rate_hz), image, label, self._is_cut(index))

    def __iter__(self):
        index = 0
        while True:
            yield self.frame(index)
            index += 1

    def cut_frames(self, n: int) -> list[int]:
        """Indices below `n` that start a new shot (index 0 is not one of them)."""
        if n < 1:
            return []
        self._shot_of(n)
        starts = self._starts[1 : self._shot_of(n - 1) + 1]
        # Rounding may put a start one frame early or late, so its neighbours are asked too.
        near = {max(1, int(s * self.rate_hz) + k) for s in starts for k in (0, 1, 2)}
        return sorted(i for i in near if i < n and self._is_cut(i))

    def _is_cut(self, index):
        return index > 0 and self._shot_of(index) != self._shot_of(index - 1)

    def _shot_of(self, index):
        """Number of the shot that frame `index` belongs to."""
        t = index / self.rate_hz
        while self._starts[-1] <= t:
            block = (len(self._starts) - 1) // _BLOCK
            lengths = np.random.default_rng((self.seed, _LENGTHS, block)).uniform(*SHOT_S, _BLOCK)
            self._starts = np.concatenate([self._starts, self._starts[-1] + np.cumsum(lengths)])
        return int(np.searchsorted(self._starts, t, side="right")) - 1

    def _make_shot(self, number):
        duration = self._starts[number + 1] - self._starts[number]
        return _Shot((self.seed, _WORLD, number), duration, self.width, self.height)


class _Shot:
    """One continuous drive: its world, its driver and its camera."""

    def __init__(self, seed, duration, width, height):
        # Separate streams keep the world the same at every picture size.
        looks, world, traffic, far, eye = (
            np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(5)
        )
        self.width, self.height = width, height
        self.style = Style(looks, duration)
        self.road = Road(looks, self.style.length + 300)
        self.street = Street(world, self.style, self.road)
        self.traffic = Traffic(
            traffic, self.style, self.road, self.street.ground.crossing, self.street.vehicles
        )
        self.renderer = Renderer(far, self.style, self.street, width, height)
        self.sensor = Sensor(eye, self.style, width, height)

    def frame(self, t, noise_seed):
        """(image, label) at `t` seconds into the shot."""
        style = self.style
        along, across, yaw, pitch = style.ego(t)
        position = self.road.points(along, across, style.cam_height)
        camera = Camera(
            position,
            self.road.heading_at(along) + yaw,
            pitch,
            0.15 * yaw,
            self.renderer.focal,
            self.width,
            self.height,
        )
        movers, shadows = self.traffic.at(t, along, VIEW_M)
        canvas = self.renderer.draw(camera, along, across, movers, shadows)
        return self.sensor.record(canvas, t, noise_seed), np.ascontiguousarray(canvas[..., 3])
