# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The motion of one camera: maps between its newest frame and the older ones that are still of use."""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum
from typing import NamedTuple

import numpy as np

from dcfm_ros.motion.flow import DenseInverseSearch, FlowEstimator, View, adjacent, flow_map
from dcfm_ros.motion.maps import composed, explains, mean_length, moved, stands_still


class Found(str, Enum):
    """What is known of the motion from one frame to another."""

    FLOW = "flow"  # there is a map
    STILL = "still"  # nothing has moved
    NONE = "none"  # nothing: another sequence or shot, or a map that does not explain what has changed


class Motion(NamedTuple):
    """map: (h/4, w/4, 2) for network inputs (h, w), where it was found; None: features stay where they
    are."""

    found: Found = Found.NONE
    map: np.ndarray | None = None

    def pixels(self, size: tuple[int, int]) -> float:
        """Mean length of the motion in pixels of an image of that size (H, W), which the network may see in
        another shape."""
        return (
            0.0
            if self.map is None
            else mean_length(self.map, (size[1] / self.map.shape[1], size[0] / self.map.shape[0]))
        )


class Judged(NamedTuple):
    """The motion from one frame to another that is of use, and the other frame's picture as it has moved by
    that."""

    motion: Motion
    picture: np.ndarray | None


class _Known(NamedTuple):
    """A frame and how things have moved since."""

    view: View
    from_newest: np.ndarray | None  # map from the newest frame to it; None across a cut
    to_newest: np.ndarray | None  # and back, where that is asked for
    to_older: dict[int, np.ndarray]  # maps from it to frames that were known when it came

    def followed(self, flow: np.ndarray, back: np.ndarray | None) -> _Known:
        """The same when there is a newer frame. flow: map from that to the newest so far; back: the other
        way"""
        if self.from_newest is None:
            return self
        return self._replace(
            from_newest=composed(flow, self.from_newest),
            to_newest=None if back is None else composed(self.to_newest, back),
        )


class MotionTrack:
    """Flow between adjacent frames, composed into maps. What is kept is bounded by what its owner says is
    needed. For one thread.

    A frame that was dropped is no gap: adjacent are frames that are added one after the other.
    """

    def __init__(self, estimator: FlowEstimator | None = None, both_ways: bool = False):
        """both_ways: maps from older frames to newer ones are asked for, too"""
        self._estimator, self._both_ways = estimator or DenseInverseSearch(), both_ways
        self._known: dict[int, _Known] = {}  # by index, the newest last
        self._before: np.ndarray | None = (
            None  # picture of the frame before the newest, as it has moved since
        )
        self._judged: dict[tuple[int, int], Judged] = {}  # of the newest frame, as far as was asked

    @property
    def known(self) -> list[int]:
        """Indices of the frames that there may be maps of, the newest last."""
        return list(self._known)

    def restart(self) -> None:
        """Forget all frames: the next one has nothing to do with them."""
        self._known.clear()
        self._judged.clear()

    def cut(self) -> None:
        """The newest frame begins another shot: there are no maps between it and the older ones, which keep
        those they have."""
        index, newest = self._known.popitem()
        self._known = {
            key: known._replace(from_newest=None, to_newest=None) for key, known in self._known.items()
        }
        self._known[index] = newest._replace(to_older={})
        self._judged.clear()

    def add(self, image: np.ndarray, index: int, needed: Collection[int]) -> None:
        """The next frame. image: network input (h, w, 3) uint8 RGB, of the size of those before it; needed:
        the older frames to which, or from which, maps are still of use"""
        view = View.of(image)
        self._judged.clear()
        if self._known:
            before = self._known[self._newest].view
            flow, self._before = adjacent(self._estimator, view, before)
            back = flow_map(self._estimator, before, view) if self._both_ways else None
            self._known = {
                key: known.followed(flow, back) for key, known in self._known.items() if key in needed
            }
        still = np.zeros((*view.picture.shape[:2], 2), np.float32)
        older = {
            key: known.from_newest
            for key, known in self._known.items()
            if self._both_ways and known.from_newest is not None
        }
        self._known[index] = _Known(view, still, still if self._both_ways else None, older)

    def motion(self, frame: int, other: int) -> Motion:
        """From one frame to another, by their indices. One of them is the newest; or, if maps go both ways,
        the other is the older and both are needed still. Maps from older frames are known if they go both
        ways, and no others."""
        return self._judge(frame, other).motion

    def pictures(self, other: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Pictures (h/4, w/4, 3) uint8 RGB of a frame as it has moved since and of the newest; None where
        that frame is not known."""
        if other not in self._known or self._known[other].from_newest is None:
            return None
        return self._judge(self._newest, other).picture, self._known[self._newest].view.picture

    def newest_two(self) -> tuple[np.ndarray, np.ndarray]:
        """The same of the frame before the newest, of which there has to be one."""
        return self._before, self._known[self._newest].view.picture

    @property
    def _newest(self) -> int:
        return next(reversed(self._known))

    def _judge(self, frame: int, other: int) -> Judged:
        if (frame, other) not in self._judged:
            self._judged[frame, other] = self._find(frame, other)
        return self._judged[frame, other]

    def _find(self, frame: int, other: int) -> Judged:
        one, two = self._known.get(frame), self._known.get(other)
        if one is None or two is None:
            return Judged(Motion(), None)
        if frame == self._newest:
            motion = two.from_newest
        elif other == self._newest:
            motion = one.to_newest
        else:
            motion = one.to_older.get(other)
        return judged(motion, one.view, two.view)


def judged(motion: np.ndarray | None, here: View, there: View) -> Judged:
    """A map from one frame to another, if it is of use."""
    if motion is None:
        return Judged(Motion(), there.picture)
    if stands_still(motion):
        return Judged(Motion(Found.STILL), there.picture)
    picture = moved(there.picture, motion)
    if explains(here.picture, there.picture, picture):
        return Judged(Motion(Found.FLOW, motion), picture)
    return Judged(Motion(), there.picture)
