# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A series of synthetic videos: the first seconds of several seeds, one after the other, for evaluation."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from dcfm_ros.sources.frame import VideoFrame
from dcfm_ros.sources.synthetic.video import CLASSES, SyntheticVideo
from dcfm_ros.stamps import NS_PER_S

SECONDS_EACH = 5.0


class SyntheticSeries:
    """Seeds `first` to `last`, SECONDS_EACH of each, separated by hard cuts."""

    class_table = CLASSES

    def __init__(self, first: int, last: int, width: int, height: int, rate_hz: float):
        if last < first:
            raise ValueError(f"seeds {first}-{last}: the last is smaller than the first")
        self._first, self.width, self.height, self.rate_hz = first, width, height, rate_hz
        self._each = max(1, round(SECONDS_EACH * rate_hz))
        self.length = (last - first + 1) * self._each
        self._video = lru_cache(maxsize=2)(self._open)
        self._open(first)  # raises errors for invalid sizes and rates at once

    def frame(self, index: int) -> VideoFrame:
        """Return frame number `index` of the series, from 0."""
        number, within = divmod(index, self._each)
        frame = self._video(self._first + number).frame(within)
        is_cut = frame.is_cut or (within == 0 and number > 0)
        return replace(frame, index=index, stamp_ns=round(index * NS_PER_S / self.rate_hz), is_cut=is_cut)

    def _open(self, seed: int) -> SyntheticVideo:
        return SyntheticVideo(seed, self.width, self.height, self.rate_hz)
