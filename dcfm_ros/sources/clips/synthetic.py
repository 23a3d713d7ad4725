# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The procedural street video as a data set: some seconds of each seed, every frame labelled."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from threading import Lock

import numpy as np

from dcfm_ros.sources.classes import STREET11
from dcfm_ros.sources.clips.clip import ClipSet, check_index
from dcfm_ros.sources.errors import SourceError
from dcfm_ros.sources.source_kinds import DEFAULT_RATE_HZ, DEFAULT_SIZE
from dcfm_ros.sources.synthetic.video import RESERVED_SEEDS, SyntheticVideo
from dcfm_ros.sources.synthetic_series import SECONDS_EACH
from dcfm_ros.sources.synthetic_source import seed_range

TERMS = "synthetic street scenes, rendered by dcfm_ros itself under its own licence"
LENGTH = round(SECONDS_EACH * DEFAULT_RATE_HZ)  # frames of a clip

_CACHED_VIDEOS = 4
# 100 MB: a clip may be gone through several times, and images and labels come separately
_CACHED_FRAMES = 2 * LENGTH


def open_synthetic(seeds: str, split: str) -> ClipSet:
    """One clip for each seed of `seeds`, SEED or FIRST-LAST; there are no splits, but the seeds reserved for
    evaluation are refused in the split `train`."""
    first, last = seed_range(seeds)
    if split == "train" and first < RESERVED_SEEDS.stop and last >= RESERVED_SEEDS.start:
        raise SourceError(
            f"synthetic:{seeds} has seeds that are for evaluation only, {RESERVED_SEEDS.start} to "
            f"{RESERVED_SEEDS.stop - 1}; train with others"
        )
    clips = tuple(SyntheticClip(seed) for seed in range(first, last + 1))
    return ClipSet(
        f"synthetic {first}" if first == last else f"synthetic {first}-{last}", STREET11, clips, TERMS
    )


@dataclass(frozen=True)
class SyntheticClip:
    """The first LENGTH frames of the street video of a seed. A hard cut may lie among them."""

    seed: int
    length = LENGTH
    rate_hz = DEFAULT_RATE_HZ
    labelled = range(LENGTH)

    @property
    def name(self) -> str:
        return f"synthetic {self.seed}"

    def image(self, index: int) -> np.ndarray:
        check_index(self, index)
        return _frame(self.seed, index).image.copy()

    def label(self, index: int) -> np.ndarray:
        check_index(self, index)
        return _frame(self.seed, index).label.copy()


_rendering = Lock()  # a street is built and drawn by one thread


def _frame(seed, index):
    with _rendering:
        return _rendered(seed, index)


@lru_cache(_CACHED_FRAMES)
def _rendered(seed, index):
    return _video(seed).frame(index)


@lru_cache(_CACHED_VIDEOS)
def _video(seed):
    return SyntheticVideo(seed, *DEFAULT_SIZE, DEFAULT_RATE_HZ)
