# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which frames the teacher labels: groups of frames close in time, spread evenly over all data. A function of
lengths, rates and the seed alone, so that an interrupted labelling goes on with the same plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

TRAIN, VAL = "train", "val"
GROUP = 3  # frames of a video that are close in time: six ordered pairs for three labellings
VALIDATION_RUN = 9  # consecutive frames: ages of the common feature from 0 to 8
_LEAST_VIDEO = 3 * VALIDATION_RUN  # a shorter video keeps nothing for validation


@dataclass(frozen=True)
class Group:
    """Frames that become one clip. frames: indices in their footage, ascending; of a still one index twice,
    the second time moved"""

    split: str
    footage: int
    frames: tuple[int, ...]
    is_still: bool = False
    variant: int = 0  # of a still: which of its virtual motions

    @property
    def name(self) -> str:
        return f"{self.footage:05d}_{self.frames[0]:07d}" + (f"_{self.variant}" if self.is_still else "")

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of the frames' files. A frame of a video that is in two groups is labelled once."""
        if self.is_still:
            return tuple(f"{self.name}{part}" for part in ("ab" if self.split == TRAIN else "a"))
        return tuple(f"{self.footage:05d}_{frame:07d}" for frame in self.frames)


def plan(
    lengths: Sequence[int], frames: int, radius: int, held_out: float, seed: int, stills: bool = False
) -> list[Group]:
    """Return the groups, ascending by footage and frame.

    lengths: frames of each footage; where it is 1, or with `stills`, images do not follow one another
    frames: number of frames to label, about
    held_out: share for validation: the end of each video, and stills spread evenly over all
    """
    rng = np.random.default_rng(seed)
    alone = [
        (number, index)
        for number, length in enumerate(lengths)
        if stills or length == 1
        for index in range(length)
    ]
    videos = [] if stills else [(number, length) for number, length in enumerate(lengths) if length > 1]
    total = len(alone) + sum(length for _, length in videos)
    groups = _of_stills(alone, round(frames * len(alone) / total), held_out)
    for number, length in videos:
        groups += _of_video(number, length, frames * length / total, radius, held_out, rng)
    return sorted(groups, key=lambda group: (group.footage, group.frames, group.variant))


def _of_stills(alone: Sequence[tuple[int, int]], frames: int, held_out: float) -> list[Group]:
    if not alone:
        return []
    held = _spread(len(alone), min(round(held_out * len(alone)), round(held_out * frames)))
    groups = [Group(VAL, *_still(alone[number])) for number in held]
    others = [still for number, still in enumerate(alone) if number not in held]
    pairs = max(1, (frames - len(held)) // 2)
    for variant in range(-(-pairs // len(others))):
        taken = _spread(len(others), min(len(others), pairs - variant * len(others)))
        groups += [Group(TRAIN, *_still(others[number]), variant) for number in taken]
    return groups


def _still(still: tuple[int, int]) -> tuple[int, tuple[int], bool]:
    return still[0], (still[1],), True


def _of_video(
    footage: int, length: int, frames: float, radius: int, held_out: float, rng: np.random.Generator
) -> list[Group]:
    groups = []
    end = length
    if held_out and length >= _LEAST_VIDEO:
        kept = max(VALIDATION_RUN, round(held_out * length))
        runs = max(1, min(round(held_out * frames / VALIDATION_RUN), kept // VALIDATION_RUN))
        for number in _spread(kept - VALIDATION_RUN + 1, runs):
            start = length - kept + number
            groups.append(Group(VAL, footage, tuple(range(start, start + VALIDATION_RUN))))
        frames -= runs * VALIDATION_RUN
        end = max(2, length - kept - min(radius, kept))  # no training frame beside a held-out one
    size = min(GROUP, end)
    for anchor in _spread(end, max(1, min(round(frames / GROUP), end))):
        low, high = max(0, anchor - radius), min(end - 1, anchor + radius)
        reach = min(radius, high - low)
        start = int(rng.integers(max(low, anchor - reach), min(anchor, high - reach) + 1))
        near = [index for index in range(start, start + reach + 1) if index != anchor]
        others = rng.choice(near, size=min(size - 1, len(near)), replace=False)
        groups.append(Group(TRAIN, footage, tuple(sorted([anchor, *map(int, others)]))))
    return groups


def _spread(count: int, wanted: int) -> list[int]:
    """Return `wanted` of the numbers below `count`, evenly spaced, each once."""
    return [int((number + 0.5) * count / wanted) for number in range(min(wanted, count))]
