# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which keyframe is computed next: the choice among cameras, within the budget."""

from __future__ import annotations

import math
from typing import NamedTuple

from dcfm_ros.pipeline.budget import KeyframeBudget
from dcfm_ros.pipeline.keyframe import Keyframe


class _Claim(NamedTuple):
    keyframe: Keyframe
    at_ns: int


class KeyframeQueue:
    """Holds at most one keyframe of each camera: the newest. Knows no threads; times are those of the
    budget's clock.

    Requests of infinite urgency go first, in the order in which their cameras became due. Among the others
    cameras get keyframes in proportion to their urgencies, evenly spread: each choice adds the urgency of
    every keyframe that waits to its camera's credit, takes the camera with the most, and charges it the sum
    of what was added.

    A camera without a common feature may take its keyframe on credit, once until the budget has recovered:
    one that begins anew again and again must not keep the others from theirs.
    """

    def __init__(self, budget: KeyframeBudget, ttl_s: float = math.inf):
        """ttl_s: keyframes that are not renewed within this time expire."""
        self.budget = budget
        self._ttl_ns = ttl_s * 1e9
        self._claims: dict[str, _Claim] = {}  # in the order in which their cameras became due
        self._credit: dict[str, float] = {}
        self._borrowers: set[str] = set()

    def __len__(self) -> int:
        return len(self._claims)

    def put(self, keyframe: Keyframe, now_ns: int) -> Keyframe | None:
        """Add a keyframe; returns the one of its camera whose place it takes."""
        displaced = self._claims.get(keyframe.camera)
        self._claims[keyframe.camera] = _Claim(keyframe, now_ns)
        return None if displaced is None else displaced.keyframe

    def take(self, now_ns: int) -> Keyframe | None:
        """The next keyframe, which leaves the queue and is charged to the budget; None if there is none or no
        budget."""
        candidates = self._candidates(now_ns)
        return self._remove(candidates, now_ns) if candidates else None

    def take_if_next(self, keyframe: Keyframe, now_ns: int) -> bool:
        """Take this keyframe if it is the next."""
        candidates = self._candidates(now_ns)
        is_next = bool(candidates) and self._choice(candidates) is keyframe
        if is_next:
            self._remove(candidates, now_ns)
        return is_next

    def wait_s(self, now_ns: int) -> float | None:
        """Seconds until the budget allows one of the keyframes; None: none waits."""
        waits = [
            self.budget.wait_s(now_ns, self._may_borrow(claim.keyframe)) for claim in self._claims.values()
        ]
        return min(waits, default=None)

    def allows(self, keyframe: Keyframe, now_ns: int) -> bool:
        """Is there budget for this keyframe?"""
        return self.budget.allows(now_ns, self._may_borrow(keyframe))

    def clear(self) -> list[Keyframe]:
        """Remove all keyframes and return them."""
        keyframes = [claim.keyframe for claim in self._claims.values()]
        self._claims.clear()
        return keyframes

    def _candidates(self, now_ns: int) -> list[Keyframe]:
        if self.budget.allows(now_ns):
            self._borrowers.clear()
        return [
            claim.keyframe
            for claim in self._claims.values()
            if now_ns - claim.at_ns <= self._ttl_ns and self.allows(claim.keyframe, now_ns)
        ]

    def _may_borrow(self, keyframe: Keyframe) -> bool:
        return keyframe.is_first and keyframe.camera not in self._borrowers

    def _choice(self, candidates: list[Keyframe]) -> Keyframe:
        urgent = next((keyframe for keyframe in candidates if math.isinf(keyframe.urgency)), None)
        return urgent or max(candidates, key=lambda k: self._credit.get(k.camera, 0.0) + k.urgency)

    def _remove(self, candidates: list[Keyframe], now_ns: int) -> Keyframe:
        chosen = self._choice(candidates)
        if not math.isinf(chosen.urgency):
            for keyframe in candidates:
                camera = keyframe.camera
                self._credit[camera] = self._credit.get(camera, 0.0) + keyframe.urgency
            self._credit[chosen.camera] -= sum(keyframe.urgency for keyframe in candidates)
        if not self.budget.allows(now_ns):
            self._borrowers.add(chosen.camera)
        self.budget.take(now_ns)
        del self._claims[chosen.camera]
        return chosen
