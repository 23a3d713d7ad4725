# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of one schedule, pooled over clips and phases."""

from __future__ import annotations

import numpy as np

from dcfm_ros.evaluation.schedule import Schedule
from dcfm_ros.metrics.confusion import ConfusionMatrix
from dcfm_ros.rounding import rounded

WINDOWS = (8, 16)  # frames, of mVC


class Score:
    """Counts of a schedule; keyframes and other frames apart, since the published ablations give both."""

    def __init__(self, schedule: Schedule, classes: int):
        self.schedule = schedule
        self.on_keyframes, self.elsewhere = ConfusionMatrix(classes), ConfusionMatrix(classes)
        self.windows: dict[int, list[float]] = {n: [] for n in WINDOWS}
        self.frames = self.keyframes = 0  # of the clips, labelled or not
        self.keyframes_too_soon = 0  # async: keyframes that come before the one before them serves

    def add(self, counts: ConfusionMatrix, is_keyframe: bool) -> None:
        """A labelled frame's counts."""
        (self.on_keyframes if is_keyframe else self.elsewhere).merge(counts)

    def merge(self, other: Score) -> None:
        """Add the counts of other clips under the same schedule."""
        self.on_keyframes.merge(other.on_keyframes)
        self.elsewhere.merge(other.elsewhere)
        for n in WINDOWS:
            self.windows[n] += other.windows[n]
        self.frames += other.frames
        self.keyframes += other.keyframes
        self.keyframes_too_soon += other.keyframes_too_soon

    @property
    def matrix(self) -> ConfusionMatrix:
        """Counts of all frames."""
        matrix = ConfusionMatrix(self.on_keyframes.classes)
        matrix.merge(self.on_keyframes)
        matrix.merge(self.elsewhere)
        return matrix

    @property
    def keyframe_rate(self) -> float:
        """Keyframes per frame."""
        return self.keyframes / self.frames if self.frames else float("nan")

    def consistency(self, n: int) -> float:
        """mVC_n: the mean over all windows of all clips and phases; nan without any."""
        return float(np.mean(self.windows[n])) if self.windows[n] else float("nan")


def score_report(score: Score, class_names: tuple[str, ...]) -> dict:
    """The figures of a row as JSON takes them; shares are 0..1, None where there is nothing to take them
    of."""
    schedule, matrix = score.schedule, score.matrix
    return {
        "mode": schedule.mode,
        "delay": schedule.delay,
        "interval": schedule.interval,
        "threshold": schedule.threshold,
        "alignment": schedule.alignment,
        "frames": score.frames,
        "keyframes": score.keyframes,
        "keyframe_rate": rounded(score.keyframe_rate),
        "keyframes_too_soon": score.keyframes_too_soon,
        "miou": rounded(matrix.miou),
        "miou_all": rounded(matrix.miou_all),
        "wiou": rounded(matrix.wiou),
        "pixel_accuracy": rounded(matrix.pixel_accuracy),
        **{f"mvc{n}": rounded(score.consistency(n)) for n in WINDOWS},
        **{f"windows{n}": len(score.windows[n]) for n in WINDOWS},
        "miou_keyframes": rounded(score.on_keyframes.miou),
        "miou_other_frames": rounded(score.elsewhere.miou),
        "per_class_iou": {name: rounded(value) for name, value in zip(class_names, matrix.iou())},
    }
