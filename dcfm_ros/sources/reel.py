# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A reel of synthetic videos: the first seconds of several seeds, one after the other, for evaluation."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from dcfm_ros.sources.frame import VideoFrame
from dcfm_ros.sources.synthetic.video import SyntheticVideo

SECONDS_EACH = 5.0


class SyntheticReel:
    """Seeds `first` to `last`, SECONDS_EACH of each; where one follows another there is a hard cut."""

    def __init__(self, first: int, last: int, width: int, height: int, rate_hz: float):
        if last < first:
            raise ValueError(f"seeds {first}-{last}: the last is smaller than the first")
        self._first, self._size, self._rate_hz = first, (width, height), rate_hz
        self._each = max(1, round(SECONDS_EACH * rate_hz))
        self.length = (last - first + 1) * self._each
        self._video = lru_cache(maxsize=2)(self._open)
        self._open(first)  # refuses sizes and rates at once

    def frame(self, index: int) -> VideoFrame:
        """Frame number `index` of the reel, from 0."""
        number, within = divmod(index, self._each)
        frame = self._video(self._first + number).frame(within)
        is_cut = frame.is_cut or (within == 0 and number > 0)
        return replace(frame, index=index, stamp_ns=round(index * 1e9 / self._rate_hz), is_cut=is_cut)

    def _open(self, seed: int) -> SyntheticVideo:
        return SyntheticVideo(seed, *self._size, self._rate_hz)
