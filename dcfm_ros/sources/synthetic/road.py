# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The curved centre line of the street, and road coordinates (along, across) in metres."""

import math

import numpy as np

from dcfm_ros.compiled import njit


class Road:
    """Maps metres along the road and metres to the right of its centre line to the world."""

    START, STEP = -60.0, 1.0

    def __init__(self, rng, length):
        n = int((length - self.START) / self.STEP) + 2
        self.s = self.START + self.STEP * np.arange(n)
        bend = rng.choice([0.0, 0.05, 0.12, 0.22])
        period = rng.uniform(120, 260)
        phase = rng.uniform(0, 2 * np.pi)
        self.heading = bend * np.sin(2 * np.pi * self.s / period + phase)
        self.x = np.cumsum(np.sin(self.heading)) * self.STEP
        self.z = np.cumsum(np.cos(self.heading)) * self.STEP

    def heading_at(self, along):
        """Direction of the road in radians, positive to the right."""
        return np.interp(along, self.s, self.heading)

    def points(self, along, across, height=0.0):
        """World points (..., 3) of road coordinates."""
        along, across = np.asarray(along, float), np.asarray(across, float)
        if along.shape != across.shape:
            along, across = np.broadcast_arrays(along, across)
        points = np.empty((*along.shape, 3))
        points[..., 1] = height
        _points(along.ravel(), across.ravel(), self.s, self.heading, self.x, self.z, points.reshape(-1, 3))
        return points

    def strip(self, start, end, left, right, height=0.0):
        """One ground quad (4, 3) between two distances along and two offsets across."""
        return self.points(np.array([start, start, end, end]), np.array([left, right, right, left]), height)


@njit(cache=True, nogil=True)
def _points(along, across, s, heading, x, z, out):
    """Write x and z of road coordinates into `out` (N, 3), between the steps as np.interp; the step is one
    metre."""
    last = len(s) - 2
    for i in range(len(along)):
        at = min(max(along[i], s[0]), s[-1])
        k = min(int(at - s[0]), last)
        part = at - s[k]
        turn = (heading[k + 1] - heading[k]) * part + heading[k]
        out[i, 0] = (x[k + 1] - x[k]) * part + x[k] + across[i] * math.cos(turn)
        out[i, 2] = (z[k + 1] - z[k]) * part + z[k] - across[i] * math.sin(turn)
