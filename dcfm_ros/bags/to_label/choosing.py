# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Chooses frames to label: far from each other in the network's features, uncertain, sharp, none twice.

The greedy algorithm of k-centre (farthest-point sampling), whose covering radius is at most twice the best
possible one, with distances weighted: the next frame is the one with the greatest product of its distance to
all chosen ones, 0.75 to 1.25 by the rank of its uncertainty, and its sharpness among its neighbours in time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dcfm_ros.bags.to_label.candidate import Candidate
from dcfm_ros.bags.to_label.picture import same_view

_COLOUR_WEIGHT = 0.5  # of colours and light beside the network's feature
_NEARBY = 10  # candidates before and after, in which a frame's sharpness is compared
_BLURRED, _SHARP = 0.35, 0.7  # shares of the median there: below the one left out, above the other sharp
_LEAST_WEIGHT, _MORE_WEIGHT = (
    0.75,
    0.5,
)  # of the most certain frame, and how much more of the least certain one

TYPICAL, RECORDING, DIFFERENT = "typical", "for its recording", "different"


@dataclass(frozen=True)
class Choice:
    """A chosen frame. distance: to the frames that were chosen before, 1 is the mean from the average"""

    number: int  # of the candidate
    reason: str
    distance: float
    sharpness: float  # relative to the median of its neighbours in time


@dataclass(frozen=True)
class Choices:
    """In the order of choice: the first k are a good choice of k."""

    chosen: tuple[Choice, ...]
    blurred: int  # candidates that were left out
    repeated: int  # candidates that show nearly the same as a chosen one


def choose(candidates: Sequence[Candidate], recordings: Sequence[int], count: int) -> Choices:
    """Choose up to `count` candidates; fewer where the others are blurred, or near-duplicates of chosen ones.

    Each recording gets a frame, as far as `count` goes and it has a candidate, and half of an even share if
    it has as many that differ.

    recordings: number of the recording of each candidate, in the order of time
    """
    if not candidates:
        return Choices((), 0, 0)
    chooser = _Chooser(candidates, recordings)
    present = sorted(set(np.array(recordings)[chooser.open].tolist()))
    for _ in range(min(count, len(present))):
        chooser.choose_from([number for number in present if not chooser.taken[number]], again=True)
    share = count // (2 * len(present))
    while len(chooser.chosen) < count:
        left = count - len(chooser.chosen)
        owed = {number: share - chooser.taken[number] for number in present}
        owed = {number: min(lack, chooser.remaining(number)) for number, lack in owed.items() if lack > 0}
        is_due = sum(owed.values()) >= left
        if not chooser.choose_from([n for n, lack in owed.items() if lack] if is_due else present):
            break
    return Choices(tuple(chooser.chosen), chooser.blurred, chooser.repeated)


class _Chooser:
    """The state of one choice. open: candidates that may be chosen; taken: frames by recording"""

    def __init__(self, candidates: Sequence[Candidate], recordings: Sequence[int]):
        self._recordings = np.asarray(recordings)
        self._sharpness = relative_sharpness(candidates, recordings)
        self.open = self._sharpness >= _BLURRED
        self.blurred = int((~self.open).sum())
        self._features = embedding(candidates)
        self._thumbnails = np.stack([candidate.thumbnail for candidate in candidates])
        self._weights = _LEAST_WEIGHT + _MORE_WEIGHT * _ranks([one.uncertainty for one in candidates])
        self._weights *= np.minimum(self._sharpness / _SHARP, 1.0)
        self._distances = np.full(len(candidates), np.inf)
        self.chosen: list[Choice] = []
        self.taken: Counter[int] = Counter()
        self.repeated = 0
        self._unchosen = self.open.copy()  # near-duplicates as well

    def remaining(self, recording: int) -> int:
        """Return the number of candidates of a recording that may still be chosen."""
        return int((self.open & (self._recordings == recording)).sum())

    def choose_from(self, recordings: Sequence[int], again: bool = False) -> bool:
        """Choose a candidate of these recordings; return whether there is one. again: also a near-duplicate
        of a chosen one, where there is nothing else"""
        among = np.isin(self._recordings, recordings)
        possible = self.open & among
        if again and not possible.any():
            possible = self._unchosen & among
        if not possible.any():
            return False
        if self.chosen:
            merits = np.where(possible, self._distances * self._weights, -1.0)
            reason = RECORDING if again else DIFFERENT
        else:
            typical = np.linalg.norm(self._features - self._features[self.open].mean(axis=0), axis=1)
            merits = np.where(possible, -typical, -np.inf)
            reason = TYPICAL
        self._take(int(np.argmax(merits)), reason)
        return True

    def _take(self, number: int, reason: str) -> None:
        distance = self._distances[number] if self.chosen else 0.0
        self.chosen.append(Choice(number, reason, float(distance), float(self._sharpness[number])))
        self.taken[int(self._recordings[number])] += 1
        self.repeated -= not self.open[number]
        self.open[number] = self._unchosen[number] = False
        same = np.flatnonzero(self.open)
        same = same[same_view(self._thumbnails[same], self._thumbnails[number])]
        self.open[same] = False
        self.repeated += len(same)
        away = np.linalg.norm(self._features - self._features[number], axis=1)
        self._distances = np.minimum(self._distances, away)


def embedding(candidates: Sequence[Candidate]) -> np.ndarray:
    """Return what distances are measured between, (N, dimensions) float32: features and colours, each in
    units of its mean distance from the average."""
    parts = [
        (np.stack([candidate.feature for candidate in candidates]), 1.0),
        (np.stack([candidate.colour for candidate in candidates]), _COLOUR_WEIGHT),
    ]
    scaled = []
    for values, weight in parts:
        centred = values.astype(np.float32)
        centred -= centred.mean(axis=0)
        spread = float(np.linalg.norm(centred, axis=1).mean())
        scaled.append(centred * np.float32(weight / spread if spread > 0 else 0.0))
    return np.concatenate(scaled, axis=1)


def relative_sharpness(candidates: Sequence[Candidate], recordings: Sequence[int]) -> np.ndarray:
    """Return each candidate's sharpness relative to the median of its camera's candidates around it."""
    relative = np.ones(len(candidates))
    tracks: dict[tuple[int, str], list[int]] = {}
    for number, (candidate, recording) in enumerate(zip(candidates, recordings)):
        tracks.setdefault((recording, candidate.camera), []).append(number)
    for track in tracks.values():
        values = np.array([candidates[number].sharpness for number in track])
        for place, number in enumerate(track):
            median = np.median(values[max(0, place - _NEARBY) : place + _NEARBY + 1])
            relative[number] = values[place] / median if median > 0 else 1.0
    return relative


def _ranks(values: Sequence[float]) -> np.ndarray:
    """Return the rank of each value, 0 to 1; equal ones have equal ranks."""
    ordered = np.sort(values)
    below, up_to = (np.searchsorted(ordered, values, side) for side in ("left", "right"))
    return (below + up_to) / (2 * len(ordered))
