# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The first pass over a recording: of each short stretch of time the sharpest image becomes a candidate."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np

from dcfm_ros.bags.footage import DAMAGED, Footage, Shot
from dcfm_ros.bags.to_label import picture
from dcfm_ros.bags.to_label.candidate import Candidate, Looked
from dcfm_ros.bags.to_label.describing import Describer
from dcfm_ros.evaluation.read_ahead import ahead
from dcfm_ros.stamps import NS_PER_S

_AHEAD = 4  # images that are decoded while the network computes
_LOOKS = 4  # images of a stretch that are decoded to find the sharpest


@dataclass
class _Stretch:
    """A stretch of time of one camera. best: the sharpest image so far"""

    number: int | None = None
    looked_ns: int | None = None  # time of the last image that was decoded
    best: _Image | None = None


@dataclass(frozen=True, eq=False)
class _Image:
    shot: Shot
    image: np.ndarray
    levels: np.ndarray  # in grey
    sharpness: float


@dataclass
class Look:
    """The first pass over one recording, as far as it has come. known: by camera and index"""

    looked: Looked = field(default_factory=Looked)
    known: dict[tuple[str, int], Candidate] = field(default_factory=dict)
    is_done: bool = False

    def run(
        self,
        footage: Footage,
        describer: Describer,
        every_s: float,
        on_images: Callable[[int], object],
        on_candidate: Callable[[], object],
    ) -> None:
        """Look at a recording. Candidates that are known already are not computed again.

        on_images: called with the number of images that have gone by
        on_candidate: called after each candidate that was computed
        """
        looked = Looked()
        found: dict[tuple[str, int], Candidate] = {}
        with closing(ahead(_sharpest(footage, round(every_s * NS_PER_S), looked), _AHEAD)) as images:
            passed = 0
            for number, chosen in images:
                on_images(number - passed)
                passed = number
                if chosen is None:
                    continue
                key = (chosen.shot.camera, chosen.shot.index)
                found[key] = self.known[key] if key in self.known else _candidate(chosen, describer)
                if key not in self.known:
                    self.known[key] = found[key]
                    on_candidate()
        self.looked, self.known, self.is_done = looked, found, True


def _candidate(chosen: _Image, describer: Describer) -> Candidate:
    feature, uncertainty = describer.describe(chosen.image)
    shot = chosen.shot
    return Candidate(
        shot.camera,
        shot.index,
        shot.stamp_ns,
        shot.time_ns,
        chosen.sharpness,
        float(chosen.levels.mean()),
        uncertainty,
        feature,
        picture.colours(chosen.image),
        picture.thumbnail(chosen.levels),
    )


def _sharpest(footage: Footage, every_ns: int, looked: Looked) -> Generator[tuple[int, _Image | None]]:
    """Yield (number of images so far, the sharpest image of a stretch of time) for each camera and stretch;
    None where no image of it can be used. `looked` counts."""
    stretches: dict[str, _Stretch] = {}
    with closing(footage.shots()) as shots:
        for shot in shots:
            looked.images += 1
            stretch = stretches.setdefault(shot.camera, _Stretch())
            number = shot.time_ns // every_ns
            if number != stretch.number:
                if stretch.number is not None:
                    yield looked.images, stretch.best
                stretch.number, stretch.looked_ns, stretch.best = number, None, None
            if stretch.looked_ns is not None and 0 <= shot.time_ns - stretch.looked_ns < every_ns // _LOOKS:
                continue
            stretch.looked_ns = shot.time_ns
            _look(shot, stretch, looked)
    for stretch in stretches.values():
        yield looked.images, stretch.best


def _look(shot: Shot, stretch: _Stretch, looked: Looked) -> None:
    """Decode an image, and keep it if it is the sharpest of its stretch."""
    looked.looked_at += 1
    try:
        image = shot.decode()
    except DAMAGED as error:
        looked.damaged += 1
        looked.example = looked.example or str(error)
        return
    levels = picture.grey(image)
    if picture.is_blank(levels):
        looked.dark += 1
        return
    sharp = picture.sharpness(levels)
    if stretch.best is None or sharp > stretch.best.sharpness:
        stretch.best = _Image(shot, image, levels, sharp)
