"""Adaptive keyframe scheduling (AKS): when does the deep path run again?

The score of a frame is the mean absolute difference of normalised network inputs against the last requested keyframe
(paper, section 3.5). The normalisation's offset cancels and its scale is one number per channel, so the score is
computed exactly on the uint8 input.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from dcfm_ros.model.image import IMAGE_STD
from dcfm_ros.pipeline.frames import Reason, SchedulerConfig

_CHANNEL_WEIGHT = 1.0 / (3 * 255.0 * np.array(IMAGE_STD))
_CUT_STEP = 4  # hard cuts change the whole picture: every 4th row and column shows them
# Two dark shots differ little in value, but not in structure. Noise has no structure either, so some change must be there.
_CUT_CORRELATION, _CUT_CHANGE = 0.5, 0.2


def deviation(first: np.ndarray, second: np.ndarray) -> float:
    """AKS score of two network inputs (h, w, 3) uint8: mean |x1 - x2| of the normalised inputs."""
    return float(np.dot(cv2.mean(cv2.absdiff(first, second))[:3], _CHANNEL_WEIGHT))


def is_hard_cut(before: np.ndarray, after: np.ndarray, threshold: float) -> bool:
    """Do two thinned network inputs (h, w, 3) uint8 of adjacent frames belong to different shots?

    They do if they differ by `threshold` (as AKS scores), or if they differ somewhat and are hardly correlated.
    """
    change = deviation(before, after)
    if change < _CUT_CHANGE or change >= threshold:
        return change >= threshold
    greys = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (before, after)]
    return cv2.matchTemplate(*greys, cv2.TM_CCOEFF_NORMED)[0, 0] < _CUT_CORRELATION


@dataclass(frozen=True)
class Decision:
    """reason is None for a frame that is no keyframe. interval: frames since the last keyframe, 0 without one."""

    reason: Reason | None
    score: float
    interval: int


class KeyframeScheduler:
    """Decides for one camera, frame by frame. Counts processed frames; knows nothing of time or threads."""

    def __init__(self, config: SchedulerConfig):
        self.config = config
        self._forced: Reason | None = None
        self._keyframe: tuple[np.ndarray, int] | None = None  # picture and frame index of the last requested keyframe
        self._encoded: tuple[np.ndarray, int] | None = None   # of the last one whose common feature is there
        self._last: np.ndarray | None = None                  # thinned picture of the frame before

    def decide(self, image: np.ndarray, index: int) -> Decision:
        """image: network input (h, w, 3) uint8 of processed frame number `index`, which counts up by one."""
        thinned = np.ascontiguousarray(image[::_CUT_STEP, ::_CUT_STEP])
        is_cut = self._last is not None and is_hard_cut(self._last, thinned, self.config.cut_threshold)
        self._last = thinned
        if self._keyframe is None:
            return self._request(image, index, self._forced or Reason.FIRST, 0.0, 0)
        picture, at = self._keyframe
        score, interval = deviation(image, picture), index - at
        reason = self._forced
        if reason is None and (is_cut or (interval >= self.config.min_interval and score >= self.config.threshold)):
            reason = Reason.DEVIATION
        if reason is None and interval >= self.config.max_interval:
            reason = Reason.INTERVAL
        if reason is None:
            return Decision(None, score, interval)
        return self._request(image, index, reason, score, interval)

    def force(self, reason: Reason) -> None:
        """Make the next frame a keyframe."""
        self._forced = reason

    def restart(self, reason: Reason) -> None:
        """Forget all pictures: the next frame is the first of a new sequence."""
        self._keyframe = self._encoded = self._last = None
        self._forced = reason

    def succeeded(self, image: np.ndarray, index: int) -> None:
        """The common feature of the keyframe requested on frame `index`, with this picture, is there."""
        self._encoded = (image, index)

    def failed(self, index: int) -> None:
        """The keyframe requested on frame `index` came to nothing: score and interval count from the last good one."""
        if self._keyframe is not None and self._keyframe[1] == index:
            self._keyframe = self._encoded

    def _request(self, image: np.ndarray, index: int, reason: Reason, score: float, interval: int) -> Decision:
        self._keyframe = (image, index)
        self._forced = None
        return Decision(reason, score, interval)
