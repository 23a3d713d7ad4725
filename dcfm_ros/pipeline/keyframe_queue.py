# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Keyframe queue: chooses the camera whose keyframe is encoded next, within the budget."""

from __future__ import annotations

import math
from typing import NamedTuple

from dcfm_ros.pipeline.budget import KeyframeBudget
from dcfm_ros.pipeline.keyframe import Keyframe
from dcfm_ros.stamps import NS_PER_S


class _Claim(NamedTuple):
    keyframe: Keyframe
    at_ns: int


class KeyframeQueue:
    """Queue with at most one keyframe per camera: the newest. Not thread-safe; times are on the budget's
    clock.

    Requests of infinite urgency come first, in the order in which their cameras became due. The others get
    keyframes in proportion to their urgencies, evenly spread: each choice adds the urgency of every queued
    keyframe to its camera's credit, takes the camera with the highest credit, and charges it the sum of what
    was added.

    A camera without a common feature may overdraw the budget for its keyframe, once until the budget has
    recovered: a camera that restarts again and again must not starve the others.
    """

    def __init__(self, budget: KeyframeBudget, ttl_s: float = math.inf):
        """ttl_s: lifetime of keyframes that are not renewed"""
        self.budget = budget
        self._ttl_ns = ttl_s * NS_PER_S
        self._claims: dict[str, _Claim] = {}  # in the order in which their cameras became due
        self._credit: dict[str, float] = {}
        self._borrowers: set[str] = set()

    def __len__(self) -> int:
        return len(self._claims)

    def put(self, keyframe: Keyframe, now_ns: int) -> Keyframe | None:
        """Add a keyframe; returns the camera's queued one, which it replaces."""
        displaced = self._claims.get(keyframe.camera)
        self._claims[keyframe.camera] = _Claim(keyframe, now_ns)
        return None if displaced is None else displaced.keyframe

    def take(self, now_ns: int) -> Keyframe | None:
        """Remove and return the next keyframe, and charge it to the budget; None if there is none or no
        budget."""
        candidates = self._candidates(now_ns)
        return self._remove(candidates, now_ns) if candidates else None

    def take_if_next(self, keyframe: Keyframe, now_ns: int) -> bool:
        """Take this keyframe if it is the next; returns whether it was."""
        candidates = self._candidates(now_ns)
        is_next = bool(candidates) and self._choice(candidates) is keyframe
        if is_next:
            self._remove(candidates, now_ns)
        return is_next

    def wait_s(self, now_ns: int) -> float | None:
        """Return the seconds until the budget allows one of the keyframes; None if the queue is empty."""
        waits = [
            self.budget.wait_s(now_ns, self._may_borrow(claim.keyframe)) for claim in self._claims.values()
        ]
        return min(waits, default=None)

    def allows(self, keyframe: Keyframe, now_ns: int) -> bool:
        """Return whether the budget allows this keyframe."""
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
