# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Adaptive keyframe scheduling (AKS): decides when the deep path runs again.

The paper's score of a frame is the mean absolute difference of normalised network inputs against the last
keyframe (section 3.5). The normalisation's offset cancels and its scale is one number per channel, so the
score is computed exactly on the uint8 input. A frame that passes the threshold is checked once more by
`is_scene_change`.

Where common features are aligned with the motion of the scene, motion alone costs little accuracy, and what
counts is the residual: the deviation that neither motion nor a change of illumination explains. The score is
the sum, over the frames since the keyframe, of how much the keyframe's residual exceeds that of the previous
frame; noise and flicker are in both. A sum makes the intervals as even as the scene is; see docs/method.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from dcfm_ros.model.normalisation import IMAGENET
from dcfm_ros.motion.track import MotionTrack
from dcfm_ros.pipeline.frames import Reason
from dcfm_ros.pipeline.settings import AksScore, SchedulerConfig

# Uses the published normalisation, not the model's own, so that thresholds mean the same with every model.
_CHANNEL_WEIGHT = 1.0 / (3 * 255.0 * np.array(IMAGENET.std))
_CUT_STEP = 4  # hard cuts change the whole picture: every 4th row and column is enough to see them
# Two dark shots differ little in value, but they do in structure. Noise has no structure either, so a minimal
# change is required as well.
_CUT_CORRELATION, _CUT_CHANGE = 0.5, 0.2
# Adjacent frames after motion compensation belong to one shot if their correlation is high (measured: at most
# 0.87 at cuts, at least 0.97 with a shaken camera) and their residual is low (at least 0.33 at cuts, at most
# 0.13 with a shaken camera). Both are needed, since the correlation of pictures without structure is
# arbitrary.
_SAME_SHOT, _SAME_LOOKS = 0.9, 0.3
_BLOCK = 4  # pixels, edge of the blocks over which noise is averaged out
_STEADY_GAIN = (0.8, 1.25)  # lamps flicker at mains frequency by a tenth up and down
_MOST_NOISE = 0.15  # residual of two adjacent frames; a greater one is not noise but unexplained motion
_REMAINING = 0.8  # of a threshold; averaging alone reduces the change by motion by a tenth
_DEMANDS = (Reason.FIRST, Reason.RESET, Reason.REQUESTED)  # reasons that do not depend on the pictures


def deviation(first: np.ndarray, second: np.ndarray) -> float:
    """Return the AKS score of two pictures (h, w, 3) uint8: mean |x1 - x2| of their normalised values."""
    return float(np.dot(cv2.mean(cv2.absdiff(first, second))[:3], _CHANNEL_WEIGHT))


def averaged(picture: np.ndarray) -> np.ndarray:
    """Average a picture (h, w, 3) uint8 over blocks, which removes noise."""
    return cv2.resize(picture, None, fx=1 / _BLOCK, fy=1 / _BLOCK, interpolation=cv2.INTER_AREA)


def is_scene_change(first: np.ndarray, second: np.ndarray, threshold: float) -> bool:
    """Return whether two pictures that differ by `threshold` do so by scene motion, not by noise or
    illumination.

    first, second: the pictures, averaged over blocks. True if four fifths of the threshold remain between
        them after the brightness of the first is matched to the second
    """
    return residual(first, second) >= _REMAINING * threshold


def residual(first: np.ndarray, second: np.ndarray) -> float:
    """Return the deviation of two pictures (h, w, 3) uint8 after matching the brightness of the first to the
    second, if illumination can have changed that much."""
    gain = sum(cv2.mean(second)) / max(sum(cv2.mean(first)), 1.0)
    if _STEADY_GAIN[0] <= gain <= _STEADY_GAIN[1]:
        first = cv2.convertScaleAbs(first, alpha=gain)
    return deviation(first, second)


def is_hard_cut(before: np.ndarray, after: np.ndarray, threshold: float) -> bool:
    """Return whether two subsampled network inputs (h, w, 3) uint8 of adjacent frames belong to different
    shots.

    True if they differ by `threshold` (an AKS score), or if they differ somewhat and are hardly correlated.
    """
    change = deviation(before, after)
    if change >= threshold and is_scene_change(averaged(before), averaged(after), threshold):
        return True
    return change >= _CUT_CHANGE and _correlation(before, after) < _CUT_CORRELATION


def _correlation(before: np.ndarray, after: np.ndarray) -> float:
    grey_before, grey_after = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (before, after))
    return float(cv2.matchTemplate(grey_before, grey_after, cv2.TM_CCOEFF_NORMED)[0, 0])


@dataclass(frozen=True)
class Decision:
    """The scheduler's decision on one frame.

    reason: None if the frame is not a keyframe
    interval: frames since the last keyframe, 0 without one
    urgency: how much a keyframe is needed, score over threshold; infinite if it must not wait for cameras
        with a higher score
    """

    reason: Reason | None
    score: float
    interval: int
    urgency: float = 0.0
    is_cut: bool = False


class KeyframeScheduler:
    """Keyframe scheduler of one camera. Counts processed frames; independent of time and threads.

    Once a keyframe is due, it stays due, and every frame is a candidate until one has `started`: the encoder
    may be busy, and then starts with the newest frame.
    """

    def __init__(self, config: SchedulerConfig):
        self.config = config
        self._forced: Reason | None = None
        self._due: Reason | None = None  # why a keyframe has become due, while none has started since
        self._urgent = False  # due for more than a deviation: a cut or a demand
        self._keyframe: tuple[np.ndarray, int] | None = (
            None  # picture and frame index of the last started keyframe
        )
        self._encoded: tuple[np.ndarray, int] | None = None  # same, of the last one whose feature is ready
        self._last: np.ndarray | None = None  # subsampled picture of the previous frame
        self._sum = 0.0  # of the residual's growth since the last started keyframe
        self._before = 0.0  # the sum at the time that keyframe started

    def evaluate(
        self, image: np.ndarray, index: int, threshold_scale: float = 1.0, motion: MotionTrack | None = None
    ) -> Decision:
        """Decide on the processed frame number `index`, which increases by one. image: its network input
        (h, w, 3) uint8; motion: the camera's motion track up to this frame, needed if the score is the
        residual"""
        is_cut = self._is_cut(image, motion)
        threshold = threshold_scale * self.config.threshold
        score, interval = 0.0, 0
        if self._keyframe is not None:
            score, interval = self._score(image, self._keyframe, motion), index - self._keyframe[1]
            if is_cut:  # the whole picture has changed, whatever the score measures
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
        """Same as `evaluate`, for callers whose keyframes start at once."""
        decision = self.evaluate(image, index, motion=motion)
        if decision.reason is not None:
            self.started(image, index)
        return decision

    def started(self, image: np.ndarray, index: int) -> None:
        """Note that the keyframe of frame `index`, with this picture, has started: scores and intervals now
        count from it."""
        self._keyframe, self._before, self._sum = (image, index), self._sum, 0.0
        self._due, self._urgent = None, False

    def force(self, reason: Reason) -> None:
        """Make the next frame a keyframe."""
        self._forced = reason

    def restart(self, reason: Reason) -> None:
        """Drop all pictures: the next frame is the first of a new sequence."""
        self._keyframe = self._encoded = self._last = self._due = None
        self._urgent, self._sum, self._before = False, 0.0, 0.0
        self._forced = reason

    def succeeded(self, image: np.ndarray, index: int) -> None:
        """Note that the common feature of the keyframe of frame `index`, with this picture, is ready."""
        self._encoded = (image, index)

    def failed(self, index: int) -> None:
        """Note that the keyframe of frame `index` failed: scores and intervals count from the last good
        one."""
        if self._keyframe is not None and self._keyframe[1] == index:
            self._keyframe = self._encoded
            self._sum += self._before

    def _has_changed(self, image: np.ndarray, score: float, interval: int, threshold: float) -> bool:
        if self._keyframe is None or interval < self.config.min_interval or score < threshold:
            return False
        return self.config.aks_score is AksScore.RESIDUAL or is_scene_change(
            averaged(self._keyframe[0]), averaged(image), threshold
        )

    @property
    def keyframe(self) -> int | None:
        """Index of the last started keyframe, from which scores count."""
        return None if self._keyframe is None else self._keyframe[1]

    def _is_cut(self, image: np.ndarray, motion: MotionTrack | None) -> bool:
        """Return whether this frame starts another shot. The motion track tells a shaken camera from a
        cut."""
        before, self._last = self._last, np.ascontiguousarray(image[::_CUT_STEP, ::_CUT_STEP])
        if before is None or not is_hard_cut(before, self._last, self.config.cut_threshold):
            return False
        return motion is None or (
            _correlation(*motion.newest_two()) < _SAME_SHOT or residual(*motion.newest_two()) >= _SAME_LOOKS
        )

    def _score(
        self, image: np.ndarray, keyframe: tuple[np.ndarray, int], motion: MotionTrack | None
    ) -> float:
        if self.config.aks_score is not AksScore.RESIDUAL:
            return deviation(image, keyframe[0])
        assert motion is not None, "the residual score needs motion"
        if (pictures := motion.pictures(keyframe[1])) is not None:  # None: the keyframe is before a cut
            self._sum += max(0.0, residual(*pictures) - min(residual(*motion.newest_two()), _MOST_NOISE))
        return self._sum
