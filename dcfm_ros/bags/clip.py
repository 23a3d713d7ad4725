# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A camera of a recording as a clip without labels, for what goes through video more than once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from dcfm_ros.bags.errors import BagError
from dcfm_ros.bags.footage import DAMAGED, BagFootage, Footage
from dcfm_ros.sources.errors import SourceError


class Camera:
    """A camera of some footage, read from front to back."""

    def __init__(self, footage: Footage, camera: str):
        """camera: a key of `footage.topics`"""
        self._footage, self._camera = footage, camera
        self.name = f"{footage.name}_{camera}" if camera else footage.name
        self.length, self.rate_hz = footage.counts[camera], footage.rates_hz[camera]

    def pictures(self, wanted: range | frozenset[int]) -> Iterator[tuple[int, np.ndarray]]:
        """Yield index and image (H, W, 3) uint8 RGB of the frames that are wanted, without those that cannot
        be used."""
        for shot in self._footage.shots():
            if shot.camera != self._camera or shot.index not in wanted:
                continue
            try:
                image = shot.decode()
            except DAMAGED:
                continue
            yield shot.index, image


class BagClip:
    """One camera of a recording. `image` is quick from front to back; a step back begins at the start again.
    In the place of an image that cannot be used stands the one before it. For one thread."""

    labelled: Sequence[int] = ()

    def __init__(self, camera: Camera):
        self.name, self.length, self.rate_hz = camera.name, camera.length, camera.rate_hz
        self._camera = camera
        self._pictures: Iterator[tuple[int, np.ndarray]] = iter(())
        self._shown: tuple[int, np.ndarray] | None = None
        self._following: tuple[int, np.ndarray] | None = None

    def image(self, index: int) -> np.ndarray:
        """Return (H, W, 3) uint8 RGB."""
        if self._shown is None or index < self._shown[0]:
            self._pictures = self._camera.pictures(range(self.length))
            self._shown, self._following = next(self._pictures, None), next(self._pictures, None)
            if self._shown is None:
                raise BagError(f"none of the images of {self.name} can be used")
        while self._following is not None and self._following[0] <= index:
            self._shown, self._following = self._following, next(self._pictures, None)
        return self._shown[1]

    def label(self, index: int) -> np.ndarray:
        """There is none."""
        raise SourceError(f"frame {index} of {self.name} has no label")


def camera_clips(path: str | Path) -> list[BagClip]:
    """Return a clip for each camera of a recording. Raises BagError."""
    footage = BagFootage(Path(path).resolve().stem, Path(path), ())
    return [BagClip(Camera(footage, camera)) for camera in footage.topics]
