# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How steady masks are, without labels: what stands still in the picture should stand still in the mask.

- `steady`: of the pixels whose colour changed by less than STILL grey levels (in each channel) from each
  frame to the next over WINDOW frames, the share whose class stayed the same over these frames.
- `flicker`: pixels whose class changes and returns within RETURN frames, per frame. Counted on the frame of
  the return: its class differs from that of the frame before, and is that of one of the RETURN frames before
  that one.

Both are ratios of pixel counts over a whole run, so the counts of several runs add up.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, fields

import cv2
import numpy as np

from dcfm_ros.metrics.consistency import RunLengths, steady_pixels

STILL = 8  # grey levels
WINDOW = 8  # frames
RETURN = 3  # frames


@dataclass
class SteadyCounts:
    """Pixels, over a run."""

    still: int = 0  # whose colour stayed over a window
    steady: int = 0  # of these, whose class stayed
    returned: int = 0  # whose class changed and returned
    watched: int = 0  # of all frames that have RETURN + 1 frames before them

    def merge(self, other: SteadyCounts) -> None:
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))

    @property
    def steady_share(self) -> float:
        """0..1; nan where nothing stood still."""
        return self.steady / self.still if self.still else float("nan")

    @property
    def flicker(self) -> float:
        """0..1; nan where no frame has enough frames before it."""
        return self.returned / self.watched if self.watched else float("nan")


class Steadiness:
    """Follows one sequence of frames, all of one size, and counts into `counts`."""

    def __init__(self, counts: SteadyCounts):
        self._counts = counts
        self._colours, self._classes = RunLengths(WINDOW), RunLengths(WINDOW)
        self._image: np.ndarray | None = None  # of the frame before
        self._masks: deque[np.ndarray] = deque(maxlen=RETURN + 1)  # of the frames before, the newest first

    def add(self, image: np.ndarray, mask: np.ndarray) -> float | None:
        """The next frame, (H, W, 3) uint8, and its mask, (H, W) uint8; both are kept for a while and must not
        change.

        Returns the share of pixels that flicker on this frame; None where too few are before it.
        """
        if self._image is None:
            self._colours.begin(mask.shape)
        else:
            self._colours.extend(
                cv2.inRange(cv2.absdiff(image, self._image), (0, 0, 0), (STILL - 1,) * 3) > 0
            )
        self._classes.add(mask)
        if self._classes.frames >= WINDOW:
            steady, still = steady_pixels(self._classes, self._colours, WINDOW)
            self._counts.steady += steady
            self._counts.still += still
        flicker = None
        if len(self._masks) > RETURN:
            returned = self._returned(mask)
            self._counts.returned += returned
            self._counts.watched += mask.size
            flicker = returned / mask.size
        self._image = image
        self._masks.appendleft(mask)
        return flicker

    def _returned(self, mask: np.ndarray) -> int:
        before, *earlier = self._masks
        back = mask == earlier[0]
        for other in earlier[1:]:
            back |= mask == other
        back &= mask != before
        return int(np.count_nonzero(back))
