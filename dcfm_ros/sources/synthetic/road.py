"""The curved centre line of the street, and road coordinates (along, across) in metres."""
import numpy as np


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
        along, across, height = np.broadcast_arrays(along, across, height)
        heading = self.heading_at(along)
        return np.stack([np.interp(along, self.s, self.x) + across * np.cos(heading), height,
                         np.interp(along, self.s, self.z) - across * np.sin(heading)], axis=-1)

    def strip(self, start, end, left, right, height=0.0):
        """One ground quad (4, 3) between two distances along and two offsets across."""
        return self.points([start, start, end, end], [left, right, right, left], height)
