# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How well a student's masks agree with its teacher's, by the age of the common feature."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from dcfm_ros.model.build import Model
from dcfm_ros.model.fusion import resize
from dcfm_ros.sources.clips import ClipSet
from dcfm_ros.training.validate import confusion, logits_at_age, mean_iou

AGES = (0, 1, 2, 4, 8)  # frames


class Agreement(NamedTuple):
    """age: of the common feature, frames; pixels: share of pixels with the teacher's class; miou: against the
    teacher's masks; frames: on how many this was measured"""

    age: int
    pixels: float
    miou: float
    frames: int


def agreement_by_age(model: Model, data: ClipSet, align: bool) -> list[Agreement]:
    """Measure the agreement on the last frame of each clip, with the feature of each age that the clip has.

    data: clips whose labels are the teacher's classes
    align: warp common features with the motion of the scene, as in live use
    """
    classes, found, device = len(model.config.classes), [], next(model.parameters()).device
    with torch.inference_mode():
        for age in AGES:
            counts, frames = np.zeros((classes, classes), np.int64), 0
            for clip in data.clips:
                index = clip.length - 1
                if age > index:
                    continue
                label = torch.from_numpy(clip.label(index)).to(device)
                logits = logits_at_age(model, clip, index, age, align, device)
                counts += confusion(resize(logits, tuple(label.shape)).argmax(1)[0], label, classes)
                frames += 1
            if counts.any():
                share = float(np.diag(counts).sum() / counts.sum())
                found.append(Agreement(age, round(share, 5), round(mean_iou(counts), 5), frames))
    return found


def agreement_table(rows: list[Agreement]) -> str:
    """Return the rows as text."""
    lines = ["age of the feature  pixels as the teacher  mIoU against it  frames"]
    lines += [
        f"{row.age:>19}  {100 * row.pixels:>20.1f} %  {100 * row.miou:>15.1f}  {row.frames:>6}"
        for row in rows
    ]
    return "\n".join(lines)
