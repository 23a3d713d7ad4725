# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tracks the motion of one camera: maps between its newest frame and older frames that are still needed."""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum
from typing import NamedTuple

import numpy as np

from dcfm_ros.motion.flow import DenseInverseSearch, FlowEstimator, View, flow_and_warped, flow_map
from dcfm_ros.motion.maps import composed, explains, is_still, mean_length, moved


class MotionKind(str, Enum):
    """State of knowledge of the motion from one frame to another."""

    FLOW = "flow"  # there is a map
    STILL = "still"  # nothing has moved
    NONE = "none"  # unknown: another sequence or shot, or a map that does not explain the change


class Motion(NamedTuple):
    """The motion between two frames.

    map: (h/4, w/4, 2) for network inputs (h, w), if kind is FLOW; None: features stay in place
    """

    kind: MotionKind = MotionKind.NONE
    map: np.ndarray | None = None

    def pixels(self, size: tuple[int, int]) -> float:
        """Return the mean length of the motion in pixels of an image of this size (H, W); its aspect ratio
        may differ from the network input's."""
        return (
            0.0
            if self.map is None
            else mean_length(self.map, (size[1] / self.map.shape[1], size[0] / self.map.shape[0]))
        )


class CheckedMotion(NamedTuple):
    """A usable motion from one frame to another, and the other frame's picture warped by it."""

    motion: Motion
    picture: np.ndarray | None


class _TrackedFrame(NamedTuple):
    """A frame, and the motion since."""

    view: View
    from_newest: np.ndarray | None  # map from the newest frame to it; None across a cut
    to_newest: np.ndarray | None  # and back, if needed
    to_older: dict[int, np.ndarray]  # maps from it to the frames known when it was added

    def followed(self, flow: np.ndarray, back: np.ndarray | None) -> _TrackedFrame:
        """Return the entry after a newer frame. flow: map from that to the newest frame so far; back: in the
        other direction"""
        if self.from_newest is None:
            return self
        return self._replace(
            from_newest=composed(flow, self.from_newest),
            to_newest=None if back is None or self.to_newest is None else composed(self.to_newest, back),
        )


class MotionTrack:
    """Composes the flow between adjacent frames into maps. Memory is bounded by the frames that its owner
    needs. Not thread-safe.

    A dropped frame is no gap: frames added one after the other count as adjacent.
    """

    def __init__(self, estimator: FlowEstimator | None = None, both_ways: bool = False):
        """both_ways: maps from older to newer frames are needed as well"""
        self._estimator, self._both_ways = estimator or DenseInverseSearch(), both_ways
        self._known: dict[int, _TrackedFrame] = {}  # by index, the newest last
        self._before: np.ndarray | None = None  # picture of the frame before the newest, warped to the newest
        self._checked: dict[tuple[int, int], CheckedMotion] = {}  # cache for the newest frame

    @property
    def known(self) -> list[int]:
        """Indices of the frames for which there may be maps, the newest last."""
        return list(self._known)

    def restart(self) -> None:
        """Forget all frames: the next one is unrelated to them."""
        self._known.clear()
        self._checked.clear()

    def cut(self) -> None:
        """Start a new shot at the newest frame: it has no maps to older frames, which keep those among
        themselves."""
        index, newest = self._known.popitem()
        self._known = {
            key: known._replace(from_newest=None, to_newest=None) for key, known in self._known.items()
        }
        self._known[index] = newest._replace(to_older={})
        self._checked.clear()

    def add(self, image: np.ndarray, index: int, needed: Collection[int | None]) -> None:
        """Add the next frame.

        image: network input (h, w, 3) uint8 RGB, of the same size as the frames before
        needed: indices of older frames to or from which maps are still needed
        """
        view = View.of(image)
        self._checked.clear()
        if self._known:
            before = self._known[self._newest].view
            flow, self._before = flow_and_warped(self._estimator, view, before)
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
        self._known[index] = _TrackedFrame(view, still, still if self._both_ways else None, older)

    def motion(self, frame: int, other: int) -> Motion:
        """Return the motion from one frame to another, by index.

        One of them is the newest; or, if maps go both ways, `other` is the older one and both are still
        needed. Maps from older frames exist only if they go both ways.
        """
        return self._check(frame, other).motion

    def pictures(self, other: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Return pictures (h/4, w/4, 3) uint8 RGB of a frame, warped to the newest, and of the newest; None
        if that frame is unknown."""
        if other not in self._known or self._known[other].from_newest is None:
            return None
        moved_picture = self._check(self._newest, other).picture
        if moved_picture is None:
            return None
        return moved_picture, self._known[self._newest].view.picture

    def newest_two(self) -> tuple[np.ndarray, np.ndarray]:
        """Same as `pictures`, for the frame before the newest, which must exist."""
        if self._before is None:
            raise RuntimeError("there is only one frame so far")
        return self._before, self._known[self._newest].view.picture

    @property
    def _newest(self) -> int:
        return next(reversed(self._known))

    def _check(self, frame: int, other: int) -> CheckedMotion:
        if (frame, other) not in self._checked:
            self._checked[frame, other] = self._find(frame, other)
        return self._checked[frame, other]

    def _find(self, frame: int, other: int) -> CheckedMotion:
        one, two = self._known.get(frame), self._known.get(other)
        if one is None or two is None:
            return CheckedMotion(Motion(), None)
        if frame == self._newest:
            motion = two.from_newest
        elif other == self._newest:
            motion = one.to_newest
        else:
            motion = one.to_older.get(other)
        return checked_motion(motion, one.view, two.view)


def checked_motion(motion: np.ndarray | None, here: View, there: View) -> CheckedMotion:
    """Return a map from one frame to another, if it is usable."""
    if motion is None:
        return CheckedMotion(Motion(), there.picture)
    if is_still(motion):
        return CheckedMotion(Motion(MotionKind.STILL), there.picture)
    picture = moved(there.picture, motion)
    if explains(here.picture, there.picture, picture):
        return CheckedMotion(Motion(MotionKind.FLOW, motion), picture)
    return CheckedMotion(Motion(), there.picture)
