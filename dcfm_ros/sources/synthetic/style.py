# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The look of a shot, and how the camera car drives in it."""

import numpy as np

GRID_HZ = 30.0  # time grid of the driven distance
LOOK_AHEAD_S = 4.0


class Style:
    """Everything about one shot that is drawn by lot once."""

    def __init__(self, rng, duration):
        self.duration = duration
        self.fov = np.radians(rng.uniform(50, 65))
        self.cam_height = rng.uniform(1.3, 1.6)
        self.side = -1 if rng.random() < 0.6 else 1  # the side of the road we drive on
        self.lane = rng.uniform(2.9, 3.7)
        self.parking = [2.2 * (rng.random() < 0.55) for _ in range(2)]  # left, right
        self.pavement = rng.uniform(1.6, 4.0, 2)
        self.setback = rng.choice([0.0, 0.0, 1.5, 4.0], 2)
        self.built = rng.uniform(0.62, 1.0)
        self.leafy = rng.uniform(0.25, 1.0)
        self._lighting(rng)
        self._driving(rng)

    def kerb(self, right):
        """Offset across (metres, positive) of the kerb on the left (0) or right (1)."""
        return self.lane + self.parking[right]

    def _lighting(self, rng):
        self.mood = rng.choice(["sun", "cloud", "dull", "dusk"], p=[0.42, 0.33, 0.15, 0.10])
        self.gain = {
            "sun": rng.uniform(0.9, 1.25),
            "cloud": rng.uniform(0.8, 1.15),
            "dull": rng.uniform(0.55, 0.8),
            "dusk": rng.uniform(0.3, 0.5),
        }[self.mood]
        warm = rng.normal(0, 0.07)
        self.tint = np.array([1 + warm, 1 + rng.normal(0, 0.02), 1 - warm])
        self.gamma = rng.uniform(0.75, 1.3)
        self.sun_x = rng.uniform(-1.4, 1.4)  # shadow length per metre of height, across
        self.sun_z = rng.uniform(-1.0, 1.0)  # and along
        self.shadow = {"sun": rng.uniform(28, 60), "cloud": rng.uniform(5, 18), "dull": 6.0, "dusk": 4.0}[
            self.mood
        ]
        bright_right = 1 + 0.2 * np.sign(self.sun_x) * (self.mood == "sun")
        # Brightness of faces: rear, right, front, left, top.
        self.faces = np.array(
            [rng.uniform(0.75, 1), 2 - bright_right, rng.uniform(0.75, 1), bright_right, 1.15]
        )
        self.haze_rgb = np.array([rng.uniform(170, 225)] * 3) * [1, 1.01, rng.uniform(0.95, 1.06)]
        self.haze_m = rng.choice([90.0, 250.0, 700.0, 2000.0], p=[0.12, 0.3, 0.33, 0.25])

    def _driving(self, rng):
        n = int((self.duration + LOOK_AHEAD_S) * GRID_HZ) + 2
        t = np.arange(n) / GRID_HZ
        kind = rng.choice(["cruise", "stop", "stand"], p=[0.66, 0.24, 0.10])
        speed = rng.uniform(4, 13) * (1 + 0.15 * np.sin(t * rng.uniform(0.3, 0.9) + rng.uniform(0, 6)))
        if kind == "stop":
            begin = rng.uniform(0.8, 2.0)
            speed *= np.clip(1 - (t - begin) / 1.2, 0, 1) + np.clip(
                (t - begin - rng.uniform(3.5, 5)) / 3, 0, 1
            )
        elif kind == "stand":
            speed *= 0
        self.kind = kind
        self._t = t
        self._distance = np.concatenate([[0.0], np.cumsum(speed[:-1]) / GRID_HZ])
        self.length = float(self._distance[-1])
        self.mean_speed = float(self.length / t[-1])
        self._sway = rng.uniform(0.2, 1.0, 4) * [0.02, 0.15, 0.004, 0.006]
        self._pace = rng.uniform([0.3, 0.2, 4.0, 0.8], [0.8, 0.6, 7.0, 1.6])
        self._pitch0 = rng.normal(-0.012, 0.02)
        self._yaw0 = rng.normal(0, 0.025)

    def driven(self, t):
        """Metres driven since the start of the shot at time `t` (seconds)."""
        return float(np.interp(t, self._t, self._distance))

    def speed(self, t):
        """Speed in m/s at time `t`."""
        return (self.driven(t + 0.05) - self.driven(t - 0.05)) / 0.1 if t > 0.05 else self.driven(0.1) / 0.1

    def ego(self, t):
        """(along, across, yaw sway, pitch) of the camera; it sways only as far as it rolls on."""
        s, v = self.driven(t), min(self.speed(t) / 6.0, 1.0)
        u = s / 7.0  # swaying follows the distance driven, so it stops with the car
        yaw = self._yaw0 + self._sway[0] * np.sin(u * self._pace[0] * 2)
        across = self.side * self.lane / 2 + self._sway[1] * np.sin(u * self._pace[1] * 2)
        pitch = self._pitch0 + v * (
            self._sway[2] * np.sin(t * self._pace[2]) + self._sway[3] * np.sin(t * self._pace[3])
        )
        return s, across, yaw, pitch
