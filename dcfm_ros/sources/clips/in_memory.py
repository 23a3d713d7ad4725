# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A clip in memory: decoding files for each training sample would keep a GPU waiting."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from dcfm_ros.sources.clips.clip import Clip, check_index


class ClipInMemory:
    """`clip` with the images of the frames `wanted`, and their labels, read in advance; other frames are read
    on demand.

    The arrays are shared between callers, and therefore read-only.
    """

    def __init__(self, clip: Clip, wanted: Iterable[int]):
        self.name, self.length, self.rate_hz, self.labelled = (
            clip.name,
            clip.length,
            clip.rate_hz,
            clip.labelled,
        )
        self._clip, labelled = clip, set(clip.labelled)
        self._images = {index: _constant(clip.image(index)) for index in sorted(wanted)}
        self._labels = {index: _constant(clip.label(index)) for index in self._images if index in labelled}

    def image(self, index: int) -> np.ndarray:
        check_index(self, index)
        return self._images[index] if index in self._images else self._clip.image(index)

    def label(self, index: int) -> np.ndarray:
        check_index(self, index)
        return self._labels[index] if index in self._labels else self._clip.label(index)


def _constant(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array
