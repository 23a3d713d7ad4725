# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Everything that moves: cars, cyclists and walkers as functions of time."""

import math

import numpy as np

from dcfm_ros.sources.synthetic.ground import car_shadow
from dcfm_ros.sources.synthetic.mesh import Batch
from dcfm_ros.sources.synthetic.people import Cyclist, Walker


class Traffic:
    """Movers of one shot; `at(t)` gives their shapes at a time in seconds."""

    def __init__(self, rng, style, road, crossing, vehicles):
        self.style, self.road = style, road
        self.cars: list = []
        self.walkers: list = []
        self.cyclists: list = []
        if rng.random() < 0.45:  # somebody drives ahead of us
            shape, width, length = vehicles[rng.integers(len(vehicles))]
            self.cars.append((shape, width, length, "lead", rng.uniform(7, 22), rng.uniform(0.6, 1.5)))
        s = rng.uniform(8, 60)
        while s < 260 and rng.random() < 0.85:  # oncoming
            shape, width, length = vehicles[rng.integers(len(vehicles))]
            self.cars.append((shape, width, length, "oncoming", s, 0.0))
            s += rng.uniform(9, 60)
        self.oncoming_speed = 0.0 if rng.random() < 0.1 else rng.uniform(4, 13)
        self._walk(rng, crossing)
        self._ride(rng)
        # Walkers are many, so they are kept as one row each: (start, across, speed ahead, aside, offset).
        self._walks = np.array([w[1:] for w in self.walkers]).reshape(-1, 5)
        self._walk_turns = np.array([math.atan2(aside, ahead) for *_, ahead, aside, _ in self.walkers])

    def _walk(self, rng, crossing):
        style = self.style
        for right, sign in ((0, -1), (1, 1)):
            s = rng.uniform(4, 12)
            spacing = rng.uniform(3.5, 10)
            while s < style.length + 70:
                across = sign * (style.kerb(right) + rng.uniform(0.5, max(0.8, style.pavement[right] - 0.4)))
                speed = rng.choice([-1, 1]) * rng.uniform(0.9, 1.7) if rng.random() < 0.85 else 0.0
                for k in range(1 + int(rng.random() < 0.3)):  # some walk in pairs
                    self.walkers.append(
                        (
                            Walker(rng),
                            s + 0.3 * k,
                            across + 0.5 * k * sign * -1,
                            speed,
                            0.0,
                            rng.uniform(0, 2),
                        )
                    )
                s += rng.exponential(spacing) + 0.8
        start = crossing if crossing is not None else rng.uniform(12, 35)
        for _ in range(int(rng.integers(0, 5))):
            sign = rng.choice([-1, 1])
            speed = -sign * rng.uniform(0.9, 1.7)
            self.walkers.append(
                (Walker(rng), start + rng.uniform(0.3, 2.5), sign * rng.uniform(1, 9), 0.0, speed, 0.0)
            )

    def _ride(self, rng):
        style = self.style
        own = 1 if style.side > 0 else 0
        edge = style.lane - 0.45 if style.parking[own] else style.kerb(own) - 0.55
        for k in range(int(rng.integers(1, 4))):  # ahead of us, near the kerb
            speed = (
                style.mean_speed * rng.uniform(0.8, 1.1) if style.kind == "cruise" else rng.uniform(1.5, 5.5)
            )
            if rng.random() < 0.15 and style.kind != "cruise":
                speed = 0.0
            self.cyclists.append((Cyclist(rng), rng.uniform(5, 14) + 7 * k, style.side * edge, speed))
        for _ in range(int(rng.integers(0, 3))):  # on the other side
            self.cyclists.append(
                (Cyclist(rng), rng.uniform(10, 90), -style.side * (style.lane - 0.5), -rng.uniform(3, 6))
            )

    def at(self, t, camera_along, view_m):
        """(Batch of visible movers, shadow quads) at time `t`; distances in metres."""
        seen, shadows = [], []  # seen: (shape, along, across, turn, painted earlier or later by)
        for shape, width, length, kind, start, delay in self.cars:
            if kind == "lead":
                s, d, turn = self.style.driven(t + delay) + start, self.style.side * self.style.lane / 2, 0.0
            else:
                s, d, turn = start - self.oncoming_speed * t, -self.style.side * self.style.lane / 2, np.pi
            if -8 < s - camera_along < view_m:
                seen.append((shape, s, d, turn, length / 2))
                shadows.append((width, length))
        for rider, start, d, speed in self.cyclists:
            s = start + speed * t
            if 0 < s - camera_along < view_m:
                turn = np.pi if speed < 0 else 0.0
                # Riders keep between us and the parked cars, so they are painted later.
                seen.append((rider.shape(abs(speed) * t), s, d, turn, 2.0))
                shadows.append((0.6, 1.8))
        for i, s, d, walked in self._walks_seen(t, camera_along, view_m * 0.6):
            seen.append((self.walkers[i][0].shape(walked), s, d, self._walk_turns[i], 0.0))
            shadows.append((0.55, 0.55))
        return self._placed(seen, shadows)

    def _walks_seen(self, t, camera_along, view_m):
        """(number, along, across, metres walked) of every walker in view."""
        start, across, ahead, aside, offset = self._walks.T
        s = start + ahead * t
        seen = np.flatnonzero((s - camera_along > 0) & (s - camera_along < view_m))
        walked = np.abs(ahead + aside) * t + offset * (ahead != 0)
        return zip(*(column.tolist() for column in (seen, s[seen], (across + aside * t)[seen], walked[seen])))

    def _placed(self, seen, sizes):
        if not seen:
            return Batch([], [], []), np.zeros((0, 4, 3), np.float32)
        shapes, along, across, turn, sooner = zip(*seen)
        feet = self.road.points(np.array(along), np.array(across))
        headings = self.road.heading_at(along)
        batch = Batch(shapes, np.subtract(along, sooner), across)
        batch.place(feet, headings + turn)
        width, length = np.array(sizes).T
        shadows = car_shadow(self.style, feet, headings, width, length)
        # People have no shade beneath them that is darker than the shadow beside them.
        cast = np.stack([np.ones(len(sizes), bool), width > 1], axis=1)
        return batch, shadows[cast].astype(np.float32)
