# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What every data set is made of: clips of frames, some or all of them labelled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from dcfm_ros.sources.classes import ClassTable
from dcfm_ros.sources.errors import SourceError

IGNORE = 255  # label value that counts neither in training nor in evaluation


class Clip(Protocol):
    """Consecutive frames of one shot; a still without neighbours is a clip of length 1. Any thread may ask
    for any frame."""

    name: str
    length: int  # frames
    rate_hz: float
    labelled: Sequence[int]  # indices of the frames that have a label, ascending

    def image(self, index: int) -> np.ndarray:
        """(H, W, 3) uint8 RGB; a SourceError where it cannot be read."""

    def label(self, index: int) -> np.ndarray:
        """(H, W) uint8 class ids, 255 = ignore; a SourceError where there is none or it cannot be right."""


@dataclass(frozen=True)
class ClipSet:
    """The clips of one split of a data set."""

    name: str  # for example "camvid val"
    classes: ClassTable  # (name, RGB) by class id
    clips: tuple[Clip, ...]
    terms: str  # one line: source and terms of use

    def __post_init__(self):
        if not self.clips:
            raise SourceError(f"{self.name} holds no frames; give a folder or a split that has some")


def check_index(clip: Clip, index: int):
    """Refuse an index outside the clip."""
    if not 0 <= index < clip.length:
        raise SourceError(f"there is no frame {index} in {clip.name}; it has {clip.length}, counted from 0")
