# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The worst moments of a recording, found while it is read."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dcfm_ros.reports.page.data import Moment

LOWEST_IOU, LARGEST_FLICKER, OLDEST_FEATURE = KINDS = ("lowest IoU", "largest flicker", "oldest feature")

# A stretch's worst frame has others less than `apart_s` away in the stretches before and after it at most. So
# this many stretches for each moment are enough, whichever of them fall to such neighbours.
_STRETCHES_EACH = 3


@dataclass(frozen=True)
class _Candidate:
    rank: tuple[float, int]  # badness, the worst first; of equal ones the first offered
    moment: Moment


class WorstMoments:
    """For each kind of moment the `count` worst that are at least `apart_s` seconds apart, in bounded memory.

    Time is cut into stretches of `apart_s`. Of each camera's stretch only the worst frame counts; of these
    the worst is a moment, then the next worst that is not less than `apart_s` from it in the same camera, and
    so on.
    """

    def __init__(self, count: int = 4, apart_s: float = 1.0):
        if count < 1:
            raise ValueError(f"count {count}: keep at least 1 moment of each kind")
        if not (apart_s > 0 and math.isfinite(apart_s)):
            raise ValueError(f"apart_s {apart_s}: use a number of seconds above 0")
        self._count, self._apart_s = count, apart_s
        # by camera and stretch
        self._kept: dict[str, dict[tuple[str, int], _Candidate]] = {kind: {} for kind in KINDS}
        self._offers = 0

    def offer(
        self,
        kind: str,
        camera: str,
        stamp_ns: int,
        time_s: float,
        value: float,
        make_picture: Callable[[], np.ndarray],
    ) -> None:
        """A frame with its value; `make_picture` is called at once, and only if the frame is kept for now."""
        if kind not in self._kept:
            raise ValueError(f"unknown kind of moment {kind!r}: use one of {', '.join(KINDS)}")
        if not (math.isfinite(value) and math.isfinite(time_s)):
            raise ValueError(f"{kind} {value} at {time_s} s: leave frames without a value out")
        kept, stretch = self._kept[kind], (camera, math.floor(time_s / self._apart_s))
        rank = (value if kind == LOWEST_IOU else -value, self._offers)
        self._offers += 1
        if stretch in kept:
            if rank > kept[stretch].rank:
                return
        elif len(kept) == _STRETCHES_EACH * self._count:
            mildest = max(kept, key=lambda other: kept[other].rank)
            if rank > kept[mildest].rank:
                return
            del kept[mildest]
        kept[stretch] = _Candidate(rank, Moment(kind, camera, stamp_ns, time_s, value, make_picture()))

    def moments(self) -> list[Moment]:
        """By kind, the worst first."""
        return [moment for kind in KINDS for moment in self._worst(kind)]

    def _worst(self, kind: str) -> list[Moment]:
        chosen: list[Moment] = []
        for candidate in sorted(self._kept[kind].values(), key=lambda candidate: candidate.rank):
            moment = candidate.moment
            if all(
                moment.camera != other.camera or abs(moment.time_s - other.time_s) >= self._apart_s
                for other in chosen
            ):
                chosen.append(moment)
        return chosen[: self._count]
