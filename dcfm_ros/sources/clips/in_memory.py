# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A clip in memory: what decodes files for each training sample otherwise keeps a GPU waiting."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from dcfm_ros.sources.clips.clip import Clip, check_index


class ClipInMemory:
    """`clip`, of which the images of the frames `wanted` and their labels are read now, and the others when
    asked for.

    The arrays are shared by all who ask, so they cannot be written to.
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
