# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Adaptive keyframe scheduling (AKS): when does the deep path run again?

The paper's score of a frame is the mean absolute difference of normalised network inputs against the last
keyframe (section 3.5). The normalisation's offset cancels and its scale is one number per channel, so the
score is computed exactly on the uint8 input. What has passed a threshold is looked at once more: see
`is_scene_change`.

Where common features move with the scene, what moves costs little, and what counts is the residual: the
deviation that neither motion nor a change of light explains. The score is the sum, over the frames since the
keyframe, of how much more the keyframe's residual is than that of the frame before: noise and flicker are in
both. A sum makes intervals as even as the scene is; see docs/method.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from dcfm_ros.model.image import IMAGENET
from dcfm_ros.motion.track import MotionTrack
from dcfm_ros.pipeline.frames import Reason
from dcfm_ros.pipeline.settings import AksScore, SchedulerConfig

# Of the published normalisation, whatever that of the model is: thresholds mean the same with every model.
_CHANNEL_WEIGHT = 1.0 / (3 * 255.0 * np.array(IMAGENET.std))
_CUT_STEP = 4  # hard cuts change the whole picture: every 4th row and column shows them
# Two dark shots differ little in value, but not in structure. Noise has no structure either, so some change
# must be there.
_CUT_CORRELATION, _CUT_CHANGE = 0.5, 0.2
# Adjacent frames of one shot, once the older one has moved: their correlation (seen of cuts 0.87 at most, of
# a shaken camera 0.97 and more) and residual (0.33 and more; 0.13 at most). Both, since pictures without
# structure correlate as one likes.
_SAME_SHOT, _SAME_LOOKS = 0.9, 0.3
_BLOCK = 4  # pixels, over which noise is averaged away
_STEADY_GAIN = (0.8, 1.25)  # lamps at the mains' frequency flicker by a tenth up and down
_MOST_NOISE = 0.15  # residual of two adjacent frames; where they differ by more, nothing explains what moves
_REMAINING = 0.8  # of a threshold; averaging alone takes a tenth from what motion changes
_DEMANDS = (Reason.FIRST, Reason.RESET, Reason.REQUESTED)  # reasons that the pictures do not change


def deviation(first: np.ndarray, second: np.ndarray) -> float:
    """AKS score of two pictures (h, w, 3) uint8: mean |x1 - x2| of their normalised values."""
    return float(np.dot(cv2.mean(cv2.absdiff(first, second))[:3], _CHANNEL_WEIGHT))


def averaged(picture: np.ndarray) -> np.ndarray:
    """(h, w, 3) uint8 averaged over blocks, in which noise vanishes."""
    return cv2.resize(picture, None, fx=1 / _BLOCK, fy=1 / _BLOCK, interpolation=cv2.INTER_AREA)


def is_scene_change(first: np.ndarray, second: np.ndarray, threshold: float) -> bool:
    """True if two pictures that differ by `threshold`, here averaged over blocks, do so by scene motion, not
    by noise or illumination.

    They do if four fifths of that are left between the averages, with the first picture as light as the
    second.
    """
    return residual(first, second) >= _REMAINING * threshold


def residual(first: np.ndarray, second: np.ndarray) -> float:
    """Deviation of two pictures (h, w, 3) uint8 with the first one as light as the second, if light can have
    changed so much."""
    gain = sum(cv2.mean(second)) / max(sum(cv2.mean(first)), 1.0)
    if _STEADY_GAIN[0] <= gain <= _STEADY_GAIN[1]:
        first = cv2.convertScaleAbs(first, alpha=gain)
    return deviation(first, second)


def is_hard_cut(before: np.ndarray, after: np.ndarray, threshold: float) -> bool:
    """Do two thinned network inputs (h, w, 3) uint8 of adjacent frames belong to different shots?

    They do if they differ by `threshold` (as AKS scores), or if they differ somewhat and are hardly
    correlated.
    """
    change = deviation(before, after)
    if change >= threshold and is_scene_change(averaged(before), averaged(after), threshold):
        return True
    return change >= _CUT_CHANGE and _correlation(before, after) < _CUT_CORRELATION


def _correlation(before: np.ndarray, after: np.ndarray) -> float:
    greys = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (before, after)]
    return float(cv2.matchTemplate(*greys, cv2.TM_CCOEFF_NORMED)[0, 0])


@dataclass(frozen=True)
class Decision:
    """reason is None for a frame that is no keyframe. interval: frames since the last keyframe, 0 without
    one.

    urgency: how much a keyframe is needed, score over threshold; infinite where it cannot wait for a more
        changed camera
    """

    reason: Reason | None
    score: float
    interval: int
    urgency: float = 0.0
    is_cut: bool = False


class KeyframeScheduler:
    """Decides for one camera, frame by frame. Counts processed frames; knows nothing of time or threads.

    A camera that is due stays due, and each of its frames may become the keyframe, until one has `started`:
    the encoder may be busy, and what it takes up then is the newest frame.
    """

    def __init__(self, config: SchedulerConfig):
        self.config = config
        self._forced: Reason | None = None
        self._due: Reason | None = None  # why a frame before this one was due, and none has started since
        self._urgent = False  # is it due for more than a deviation?
        self._keyframe: tuple[np.ndarray, int] | None = (
            None  # picture and frame index of the last keyframe that has started
        )
        self._encoded: tuple[np.ndarray, int] | None = None  # of the last one whose common feature is there
        self._last: np.ndarray | None = None  # thinned picture of the frame before
        self._sum = 0.0  # of the residual's growth since the last keyframe has started
        self._before = 0.0  # what it was by then

    def evaluate(
        self, image: np.ndarray, index: int, threshold_scale: float = 1.0, motion: MotionTrack | None = None
    ) -> Decision:
        """Decide on processed frame number `index`, which counts up by one. image: its network input (h, w,
        3) uint8; motion: of this camera, with this frame, where the score is the residual"""
        is_cut = self._is_cut(image, motion)
        threshold = threshold_scale * self.config.threshold
        score, interval = 0.0, 0
        if self._keyframe is not None:
            score, interval = self._score(image, motion), index - self._keyframe[1]
            if is_cut:  # whatever the score counts: here all has changed
                score = max(score, deviation(image, self._keyframe[0]))
        overdue = interval >= self.config.max_interval
        reason = self._forced or (self._due if self._due in _DEMANDS else None)
        if reason is None and self._keyframe is None:
            reason = Reason.FIRST
        if reason is not None or is_cut:
            self._urgent = True
        if reason is None and (is_cut or self._has_changed(image, score, interval, threshold)):
            reason = Reason.DEVIATION
        if reason is None and overdue:
            reason = Reason.INTERVAL
        self._forced, self._due = None, reason or self._due
        if self._due is None:
            return Decision(None, score, interval)
        urgency = math.inf if self._urgent or overdue else score / threshold
        return Decision(self._due, score, interval, urgency, is_cut)

    def evaluate_and_start(
        self, image: np.ndarray, index: int, motion: MotionTrack | None = None
    ) -> Decision:
        """As `evaluate`, where a keyframe's deep path starts at once."""
        decision = self.evaluate(image, index, motion=motion)
        if decision.reason is not None:
            self.started(image, index)
        return decision

    def started(self, image: np.ndarray, index: int) -> None:
        """The keyframe of frame `index`, with this picture, is being computed: scores and intervals count
        from it."""
        self._keyframe, self._before, self._sum = (image, index), self._sum, 0.0
        self._due, self._urgent = None, False

    def force(self, reason: Reason) -> None:
        """Make the next frame a keyframe."""
        self._forced = reason

    def restart(self, reason: Reason) -> None:
        """Forget all pictures: the next frame is the first of a new sequence."""
        self._keyframe = self._encoded = self._last = self._due = None
        self._urgent, self._sum, self._before = False, 0.0, 0.0
        self._forced = reason

    def succeeded(self, image: np.ndarray, index: int) -> None:
        """The common feature of the keyframe that began on frame `index`, with this picture, is there."""
        self._encoded = (image, index)

    def failed(self, index: int) -> None:
        """The keyframe of frame `index` came to nothing: score and interval count from the last good one."""
        if self._keyframe is not None and self._keyframe[1] == index:
            self._keyframe = self._encoded
            self._sum += self._before

    def _has_changed(self, image: np.ndarray, score: float, interval: int, threshold: float) -> bool:
        if interval < self.config.min_interval or score < threshold:
            return False
        return self.config.aks_score is AksScore.RESIDUAL or is_scene_change(
            averaged(self._keyframe[0]), averaged(image), threshold
        )

    @property
    def keyframe(self) -> int | None:
        """Index of the last keyframe that has started: scores count from it."""
        return None if self._keyframe is None else self._keyframe[1]

    def _is_cut(self, image: np.ndarray, motion: MotionTrack | None) -> bool:
        """Does this frame begin another shot? What is known of the motion tells a shaken camera from a
        cut."""
        before, self._last = self._last, np.ascontiguousarray(image[::_CUT_STEP, ::_CUT_STEP])
        if before is None or not is_hard_cut(before, self._last, self.config.cut_threshold):
            return False
        return motion is None or (
            _correlation(*motion.newest_two()) < _SAME_SHOT or residual(*motion.newest_two()) >= _SAME_LOOKS
        )

    def _score(self, image: np.ndarray, motion: MotionTrack | None) -> float:
        if self.config.aks_score is not AksScore.RESIDUAL:
            return deviation(image, self._keyframe[0])
        if (pictures := motion.pictures(self._keyframe[1])) is not None:  # else it lies before a cut
            self._sum += max(0.0, residual(*pictures) - min(residual(*motion.newest_two()), _MOST_NOISE))
        return self._sum
