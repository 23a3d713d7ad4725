# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The validation score, by which training selects the best model.

Each labelled frame is segmented twice: as a keyframe; and causally, with the common feature of the frame R/2
before it (R is the training radius), which is the average age in live use. If training aligns features, the
common feature is warped by the motion since. The score is the mean of both mIoU. `dcfm evaluate` is the full
evaluation; this one only selects.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from dcfm_ros.labels import IGNORE_LABEL
from dcfm_ros.model.alignment import aligned, on_grid
from dcfm_ros.model.build import Model
from dcfm_ros.model.fusion import resize
from dcfm_ros.model.geometry import input_size
from dcfm_ros.model.image import normalised, resized
from dcfm_ros.model.per_frame import PerFrame
from dcfm_ros.motion.track import MotionTrack
from dcfm_ros.sources.clips import Clip, ClipSet
from dcfm_ros.training.group import Group, summed


def score(
    model: Model, data: ClipSet, frames: int, radius: int, group: Group, align: bool = False
) -> dict[str, float]:
    """Return {"score": mean of the others, "keyframe": mIoU, "causal": mIoU}; without "causal" for per-frame
    networks, and if no frame has a predecessor.

    frames: number of labelled frames, evenly spaced over the data set (0: all), divided among the processes
        of the group
    align: warp common features with the motion of the scene, as in live use
    """
    classes, age = len(model.config.classes), max(1, radius // 2)
    counts = np.zeros((2, classes, classes), np.int64)  # [keyframe or causal, label, mask]
    model.eval()
    with torch.inference_mode():
        for clip, index in chosen(data, frames)[group.rank :: group.world]:
            for way, (logits, label) in enumerate(_segmented(model, clip, index, age, align, group.device)):
                counts[way] += confusion(
                    resize(logits.float(), tuple(label.shape)).argmax(1)[0], label, classes
                )
    model.train()
    keyframe, causal = (mean_iou(matrix) for matrix in summed(counts))
    found = {"keyframe": keyframe} if math.isnan(causal) else {"keyframe": keyframe, "causal": causal}
    return {
        name: round(value, 5) for name, value in {"score": sum(found.values()) / len(found), **found}.items()
    }


def chosen(data: ClipSet, frames: int) -> list[tuple[Clip, int]]:
    """Return `frames` labelled frames, evenly spaced over all clips; 0: all of them."""
    labelled = [(clip, index) for clip in data.clips for index in clip.labelled]
    if not frames or frames >= len(labelled):
        return labelled
    step = len(labelled) / frames
    # offset by half a step, to avoid only starts of clips
    return [labelled[int((number + 0.5) * step)] for number in range(frames)]


def confusion(mask: Tensor, label: Tensor, classes: int) -> np.ndarray:
    """Return (classes, classes) int64 pixel counts by label and mask; 255 is ignored."""
    valid = label != IGNORE_LABEL
    pairs = label[valid].long() * classes + mask[valid]
    return torch.bincount(pairs, minlength=classes**2).reshape(classes, classes).cpu().numpy()


def mean_iou(counts: np.ndarray) -> float:
    """Return the mean IoU over the classes that occur in the labels; NaN if there are none."""
    right = np.diag(counts)
    present = counts.sum(1) > 0
    union = counts.sum(0) + counts.sum(1) - right
    return float(np.mean(right[present] / union[present])) if present.any() else math.nan


def _segmented(model: Model, clip: Clip, index: int, age: int, align: bool, device: torch.device):
    """Yield (logits, label) as a keyframe, then as a causal frame if there is a frame before."""
    label = torch.from_numpy(clip.label(index)).to(device)
    yield logits_at_age(model, clip, index, 0, align, device), label
    if index > 0 and not isinstance(model, PerFrame):
        yield logits_at_age(model, clip, index, min(age, index), align, device), label


def logits_at_age(
    model: Model, clip: Clip, index: int, age: int, align: bool, device: torch.device
) -> Tensor:
    """Return the logits (1, classes, h, w) of a frame with the common feature of the frame `age` before it;
    as a keyframe if that is 0. align: warp the feature with the motion of the scene, as in live use"""
    image = _prepared(clip.image(index), model, device)
    if age == 0 or isinstance(model, PerFrame):
        return model.keyframe(image)
    before = index - age
    common = model.features(_prepared(clip.image(before), model, device)).common
    motion = _motion(model, clip, index, before) if align else None
    if motion is not None:
        common = aligned(common, on_grid(torch.from_numpy(motion)[None].to(device), tuple(common.shape[2:])))
    return model.nonkey(image, common)


def _motion(model: Model, clip: Clip, index: int, before: int) -> np.ndarray | None:
    """Return the map from a frame to an earlier one, composed over all frames between; None if features stay
    in place."""
    track = MotionTrack()
    for number in range(before, index + 1):
        track.add(_resized(clip.image(number), model), number, {before})
    return track.motion(index, before).map


def _prepared(image: np.ndarray, model: Model, device: torch.device) -> Tensor:
    return normalised(torch.from_numpy(_resized(image, model))[None].to(device), model.config.normalisation)


def _resized(image: np.ndarray, model: Model) -> np.ndarray:
    """Resize an image to the input size, as for inference."""
    return resized(image, input_size(image.shape[:2], (model.config.input_height, model.config.input_width)))
