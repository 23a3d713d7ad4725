# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The interface of data sets: clips of frames, some or all of them labelled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from dcfm_ros.sources.classes import ClassTable
from dcfm_ros.sources.errors import SourceError


class Clip(Protocol):
    """Consecutive frames of one shot; a still without neighbours is a clip of length 1. Thread-safe."""

    @property
    def name(self) -> str: ...

    @property
    def length(self) -> int: ...  # frames

    @property
    def rate_hz(self) -> float: ...

    @property
    def labelled(self) -> Sequence[int]: ...  # indices of the frames that have a label, ascending

    def image(self, index: int) -> np.ndarray:
        """Return (H, W, 3) uint8 RGB. Raises SourceError if it cannot be read."""

    def label(self, index: int) -> np.ndarray:
        """Return (H, W) uint8 class ids, 255 = ignore. Raises SourceError if there is none or it is
        invalid."""


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
    """Raise SourceError for an index outside the clip."""
    if not 0 <= index < clip.length:
        raise SourceError(f"there is no frame {index} in {clip.name}; it has {clip.length}, counted from 0")
