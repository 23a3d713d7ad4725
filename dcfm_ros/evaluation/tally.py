# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of a run over recordings: counts of one way to make masks, which add up over cameras and
recordings."""

from __future__ import annotations

from collections import Counter

import numpy as np

from dcfm_ros.evaluation.schedule import Schedule
from dcfm_ros.evaluation.scores import WINDOWS, Score, score_report
from dcfm_ros.metrics.confusion import ConfusionMatrix
from dcfm_ros.metrics.consistency import RunLengths, steady_share
from dcfm_ros.metrics.steadiness import Steadiness, SteadyCounts
from dcfm_ros.rounding import rounded
from dcfm_ros.stamps import NS_PER_S

DCFM, EVERY_FRAME = "DCFM", "per frame"  # rows: as live, and with every frame a keyframe


class Tally:
    """Counts of one row, whole numbers and lists, so that merging gives just what one run over all would have
    given (but for the rounding of the motion's sum)."""

    def __init__(self, name: str, schedule: Schedule, classes: int):
        self.name, self.classes = name, classes
        self.score, self.steady = Score(schedule, classes), SteadyCounts()
        self.labelled = 0
        self.reasons: Counter[str] = Counter()  # of keyframes
        self.intervals: Counter[int] = Counter()  # frames from a keyframe to the next
        self.ages: Counter[int] = Counter()  # of common features, frames
        self.alignments: Counter[str] = Counter()  # how common features have moved
        self.by_age: dict[int, ConfusionMatrix] = {}
        self.motion_px_sum = 0.0
        self.age_ns_sum = self.age_ns_max = 0
        self.agreeing = self.compared = 0  # pixels, with another row

    def keyframe(self, reason: str, interval: int) -> None:
        """interval: frames since the one before; 0 for a first one."""
        self.reasons[reason] += 1
        if interval > 0:
            self.intervals[interval] += 1

    def moved(self, alignment: str, motion_px: float) -> None:
        """How the common feature of a frame has moved, as MaskInfo tells it, and how far in the mean."""
        self.alignments[alignment] += 1
        self.motion_px_sum += motion_px

    def compare(self, mask: np.ndarray, other: np.ndarray) -> None:
        """Another row's mask of the same frame."""
        self.agreeing += int(np.count_nonzero(mask == other))
        self.compared += mask.size

    def merge(self, other: Tally) -> None:
        """Add the counts of other recordings, which come after these."""
        self.score.merge(other.score)
        self.steady.merge(other.steady)
        for name in ("reasons", "intervals", "ages", "alignments"):
            getattr(self, name).update(getattr(other, name))
        for age, matrix in other.by_age.items():
            self.at_age(age).merge(matrix)
        self.age_ns_max = max(self.age_ns_max, other.age_ns_max)
        for name in ("labelled", "age_ns_sum", "agreeing", "compared", "motion_px_sum"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def at_age(self, age: int) -> ConfusionMatrix:
        """Counts of the frames whose common feature was `age` frames old."""
        return self.by_age.setdefault(age, ConfusionMatrix(self.classes))


class CameraTally:
    """The masks of one camera in one row, in order; counts into the row's tally."""

    def __init__(self, tally: Tally):
        self._tally, self._sequence = tally, 0
        self._steadiness = Steadiness(tally.steady)
        self._begin_windows()

    def add(
        self,
        image: np.ndarray,
        mask: np.ndarray,
        label: np.ndarray | None,
        sequence: int,
        is_keyframe: bool,
        age_frames: int,
        age_ns: int,
    ) -> tuple[float | None, ConfusionMatrix | None]:
        """The next frame: image (H, W, 3) and mask (H, W) uint8, kept for a while; its label of the mask's
        size or None.

        sequence: another number than before begins anew what looks back
        Returns the share of pixels that flicker (None where too few frames are before this one), and this
        frame's counts (None without a label).
        """
        if sequence != self._sequence:
            self._sequence, self._steadiness = sequence, Steadiness(self._tally.steady)
            self._begin_windows()
        tally = self._tally
        tally.score.frames += 1
        tally.score.keyframes += is_keyframe
        tally.ages[age_frames] += 1
        tally.age_ns_sum += age_ns
        tally.age_ns_max = max(tally.age_ns_max, age_ns)
        counts = None
        if label is None:
            self._begin_windows()  # consistency is of consecutive frames
        else:
            counts = ConfusionMatrix(tally.classes)
            counts.add(mask, label)
            tally.labelled += 1
            tally.score.add(counts, is_keyframe)
            tally.at_age(age_frames).merge(counts)
            self._add_windows(mask, label)
        return self._steadiness.add(image, mask), counts

    def _begin_windows(self) -> None:
        self._mask_runs, self._label_runs = RunLengths(max(WINDOWS)), RunLengths(max(WINDOWS))
        # the newest windows: the published numbers leave the last of a video out
        self._held: dict[int, float] = {}

    def _add_windows(self, mask: np.ndarray, label: np.ndarray) -> None:
        for n, share in self._held.items():
            self._tally.score.windows[n].append(share)
        self._mask_runs.add(mask)
        self._label_runs.add(label)
        self._held = {
            n: steady_share(self._mask_runs, self._label_runs, n)
            for n in WINDOWS
            if self._mask_runs.frames >= n
        }


def tally_report(tally: Tally, class_names: tuple[str, ...]) -> dict:
    """The row as JSON takes it: all figures of `dcfm evaluate`, and those without labels. Shares are 0..1,
    ages means."""
    frames = tally.score.frames
    return {
        "name": tally.name,
        **score_report(tally.score, class_names),
        "labelled_frames": tally.labelled,
        "steady8": rounded(tally.steady.steady_share),
        "flicker": rounded(tally.steady.flicker),
        "agreement": rounded(tally.agreeing / tally.compared) if tally.compared else None,
        "keyframe_reasons": dict(sorted(tally.reasons.items())),
        "mean_keyframe_interval": _mean(tally.intervals),
        "feature_age_frames": {"mean": _mean(tally.ages), "max": max(tally.ages, default=None)},
        "feature_age_s": {
            "mean": rounded(tally.age_ns_sum / frames / NS_PER_S) if frames else None,
            "max": rounded(tally.age_ns_max / NS_PER_S) if frames else None,
        },
        "alignments": dict(sorted(tally.alignments.items())),
        "motion_px": rounded(tally.motion_px_sum / tally.alignments["flow"])
        if tally.alignments["flow"]
        else None,
        "miou_by_age": {str(age): rounded(tally.by_age[age].miou) for age in sorted(tally.by_age)},
    }


def _mean(counts: Counter[int]) -> float | None:
    return rounded(sum(value * count for value, count in counts.items()) / counts.total()) if counts else None
