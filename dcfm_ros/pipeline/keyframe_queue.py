# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which keyframe is computed next: the choice among cameras, within the budget."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from dcfm_ros.pipeline.budget import KeyframeBudget

if TYPE_CHECKING:
    from dcfm_ros.pipeline.encoder import KeyframeRequest


class _Claim(NamedTuple):
    request: KeyframeRequest
    at_ns: int


class KeyframeQueue:
    """Holds at most one request of each camera: the newest. Knows no threads; times are those of the budget's clock.

    Requests of infinite urgency go first, in the order in which their cameras became due. Among the others cameras get
    keyframes in proportion to their urgencies, evenly spread: each choice adds the urgency of every request that waits
    to its camera's credit, takes the camera with the most, and charges it the sum of what was added.

    A camera without a common feature may take its keyframe on credit, once until the budget has recovered: one that begins
    anew again and again must not keep the others from theirs.
    """

    def __init__(self, budget: KeyframeBudget, lasting_s: float = math.inf):
        """lasting_s: a request that is not renewed for longer keeps its place no more."""
        self.budget = budget
        self._lasting_ns = lasting_s * 1e9
        self._claims: dict[str, _Claim] = {}  # in the order in which their cameras became due
        self._credit: dict[str, float] = {}
        self._borrowers: set[str] = set()

    def __len__(self) -> int:
        return len(self._claims)

    def __contains__(self, camera: str) -> bool:
        return camera in self._claims

    def put(self, request: KeyframeRequest, now_ns: int) -> KeyframeRequest | None:
        """Add a request; returns the one of its camera whose place it takes."""
        displaced = self._claims.get(request.frame.camera)
        self._claims[request.frame.camera] = _Claim(request, now_ns)
        return None if displaced is None else displaced.request

    def take(self, now_ns: int) -> KeyframeRequest | None:
        """The next request, which leaves the queue and is charged to the budget; None if there is none or no budget."""
        candidates = self._candidates(now_ns)
        return self._remove(candidates, now_ns) if candidates else None

    def take_if_next(self, request: KeyframeRequest, now_ns: int) -> bool:
        """Take this request if it is the next."""
        candidates = self._candidates(now_ns)
        is_next = bool(candidates) and self._choice(candidates) is request
        if is_next:
            self._remove(candidates, now_ns)
        return is_next

    def wait_s(self, now_ns: int) -> float | None:
        """Seconds until the budget allows one of the requests; None: none waits."""
        waits = [self.budget.wait_s(now_ns, self._may_borrow(claim.request)) for claim in self._claims.values()]
        return min(waits, default=None)

    def allows(self, request: KeyframeRequest, now_ns: int) -> bool:
        """Is there budget for this request?"""
        return self.budget.allows(now_ns, self._may_borrow(request))

    def clear(self) -> list[KeyframeRequest]:
        """Remove all requests and return them."""
        requests = [claim.request for claim in self._claims.values()]
        self._claims.clear()
        return requests

    def _candidates(self, now_ns: int) -> list[KeyframeRequest]:
        if self.budget.allows(now_ns):
            self._borrowers.clear()
        return [claim.request for claim in self._claims.values()
                if now_ns - claim.at_ns <= self._lasting_ns and self.allows(claim.request, now_ns)]

    def _may_borrow(self, request: KeyframeRequest) -> bool:
        return request.is_first and request.frame.camera not in self._borrowers

    def _choice(self, candidates: list[KeyframeRequest]) -> KeyframeRequest:
        urgent = next((request for request in candidates if math.isinf(request.urgency)), None)
        return urgent or max(candidates, key=lambda r: self._credit.get(r.frame.camera, 0.0) + r.urgency)

    def _remove(self, candidates: list[KeyframeRequest], now_ns: int) -> KeyframeRequest:
        chosen = self._choice(candidates)
        if not math.isinf(chosen.urgency):
            for request in candidates:
                camera = request.frame.camera
                self._credit[camera] = self._credit.get(camera, 0.0) + request.urgency
            self._credit[chosen.frame.camera] -= sum(request.urgency for request in candidates)
        if not self.budget.allows(now_ns):
            self._borrowers.add(chosen.frame.camera)
        self.budget.take(now_ns)
        del self._claims[chosen.frame.camera]
        return chosen
