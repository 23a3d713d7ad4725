# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pairs of frames for symmetric training: a labelled frame and a temporal neighbour."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from dcfm_ros.sources.clips import Clip, ClipSet
from dcfm_ros.sources.clips.in_memory import ClipInMemory
from dcfm_ros.sources.clips.soft_labels import SoftClip, hard_labels
from dcfm_ros.training.group import cores
from dcfm_ros.training.warping import MovedStills


class DataError(RuntimeError):
    """Training data that cannot be used; the message names the file and the problem."""


@dataclass(frozen=True)
class Pair:
    """Images (H, W, 3) uint8 RGB and labels (H, W) uint8 class ids, 255 = void; the neighbour's label may be
    None.

    motion: (2, H/4, W/4, 2) float32, maps (dcfm_ros.motion) from the image to the neighbour and back; None if
        common features are not aligned
    soft: a teacher's labels of both, whose masks are the labels above; None if they come from no teacher.
        Before augmentation (2, H/4, W/4, 2 * TOP) uint8 (`sources/clips/soft_labels.py`), after it those of
        the crop, (2, H, W, 2 * KEPT) uint8 (`targets.py`)
    """

    image: np.ndarray
    label: np.ndarray
    neighbour: np.ndarray
    neighbour_label: np.ndarray | None
    origin: str = ""  # data set, clip and frames, for messages
    motion: np.ndarray | None = None
    soft: np.ndarray | None = None


class PairSource(Protocol):
    """A source of random pairs."""

    name: str  # name of the data set
    terms: str  # source and terms of use, for training records

    def pair(self, rng: np.random.Generator) -> Pair:
        """Return a random pair, determined by the generator's state."""

    def load_into_memory(self) -> None:
        """Read or render everything now, on all cores, so that no pair waits for it; processes forked later
        share the memory."""


class ClipPairs:
    """Pairs from a data set: a labelled frame, and a neighbour 1 to `radius` frames before or after it in its
    clip.

    For a still, a neighbour is created by warping, with objects of the classes `movable` (ids) pasted into
    both.

    neighbour_labels: return the neighbour's label as well, if there is one
    """

    def __init__(
        self, data: ClipSet, radius: int, movable: Sequence[int] = (), neighbour_labels: bool = True
    ):
        self.name, self.terms = data.name, data.terms
        self.clips = [clip for clip in data.clips if len(clip.labelled)]
        if not self.clips:
            raise DataError(f"{data.name} has no labelled frame: training needs some")
        self.radius, self.neighbour_labels = radius, neighbour_labels
        self._ends = np.cumsum([len(clip.labelled) for clip in self.clips])
        self._stills = MovedStills([clip for clip in self.clips if clip.length == 1], movable, radius)

    def __len__(self) -> int:
        """Number of labelled frames."""
        return int(self._ends[-1])

    def pair(self, rng: np.random.Generator) -> Pair:
        number = int(rng.integers(len(self)))
        which = int(np.searchsorted(self._ends, number, side="right"))
        clip = self.clips[which]
        if clip.length == 1:
            image, label, neighbour, neighbour_label = self._stills.pair(clip, rng)
            return Pair(
                image,
                label,
                neighbour,
                neighbour_label if self.neighbour_labels else None,
                f"{self.name} {clip.name} (still)",
            )
        index = clip.labelled[number - (int(self._ends[which]) - len(clip.labelled))]
        other = self._neighbour(clip, index, rng)
        image, neighbour = clip.image(index), clip.image(other)
        if image.shape != neighbour.shape:
            raise DataError(
                f"{self.name} {clip.name}: frame {index} is {image.shape[1]}x{image.shape[0]} but frame "
                f"{other} {neighbour.shape[1]}x{neighbour.shape[0]}; frames of a clip must have the same size"
            )
        has_label = self.neighbour_labels and other in clip.labelled
        origin = f"{self.name} {clip.name} frames {index} and {other}"
        if isinstance(clip, SoftClip):
            soft = np.stack([clip.soft(index), clip.soft(other)])
            labels = [hard_labels(one, clip.class_count) for one in soft]
            return Pair(image, labels[0], neighbour, labels[1], origin, soft=soft)
        return Pair(image, clip.label(index), neighbour, clip.label(other) if has_label else None, origin)

    def load_into_memory(self) -> None:
        with ThreadPoolExecutor(cores()) as pool:
            self.clips = list(pool.map(self._read, self.clips))
        self._stills.stills = [clip for clip in self.clips if clip.length == 1]

    def _read(self, clip: Clip) -> Clip:
        """Return the clip with all labelled frames, and frames near them, in memory; soft labels stay in
        their files, which are small."""
        if isinstance(clip, SoftClip):
            return clip
        near = {
            n
            for i in clip.labelled
            for n in range(max(0, i - self.radius), min(clip.length, i + self.radius + 1))
        }
        return ClipInMemory(clip, near)

    def _neighbour(self, clip, index: int, rng: np.random.Generator) -> int:
        """Draw uniformly one of the frames around `index` that the clip has."""
        first, last = max(0, index - self.radius), min(clip.length - 1, index + self.radius)
        other = int(rng.integers(first, last))  # one fewer, as `index` itself is excluded
        return other + (other >= index)
