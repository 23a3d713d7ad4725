# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How long a frame takes: the published way and the user's way.

The published figures are 1 / mean time of the network with its upsampling, one image at a time, without
transfers and argmax. A user waits from image in to mask out. Both are measured here on one picture, path by
path in turn; a schedule's figure follows from its keyframe rate.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
import torch.nn.functional as F

from dcfm_ros.benchmark.interleave import Contender, Laps, Run, Times, interleave, synchronize
from dcfm_ros.evaluation.moved_logits import moved_logits
from dcfm_ros.evaluation.schedule import ALIGNMENTS, FLOW, LOGITS, NONE, PER_FRAME, TWO_SIDED
from dcfm_ros.motion.flow import MAP_SHRINK
from dcfm_ros.motion.track import MotionTrack
from dcfm_ros.pipeline.backends.base import Backend, Feature
from dcfm_ros.pipeline.frames import Frame
from dcfm_ros.pipeline.postprocess import upsampled_argmax
from dcfm_ros.pipeline.preprocess import network_input

ROUNDS, REPEATS = 3, 30  # REPEATS runs of a path in all

KEYFRAME = "keyframe"  # makes its own common feature first


def nonkey(sides: int, alignment: str) -> str:
    """The path of a frame that is served by one keyframe or two."""
    name = {NONE: "nonkey", FLOW: "nonkey_aligned", LOGITS: "moved_logits"}[alignment]
    return name if sides == 1 else f"{name}_two_sided"


# Keyframes that a path is made from, and how.
PATHS = {KEYFRAME: (1, NONE), **{nonkey(sides, way): (sides, way) for way in ALIGNMENTS for sides in (1, 2)}}

WHAT = {
    "published": "motion where it is needed, calls of the backend (shallow path, of keyframes the deep path, "
    "decoder) and bilinear upsampling of the logits to the mask's size by torch; the backend's own transfers "
    "of image and logits are part of its calls",
    "user": "resizing the image, motion where it is needed, calls of the backend, upsample-and-argmax to the "
    "mask",
}
_STEPS = {"published": ("motion", "network", "upsampling"), "user": ("resizing", "motion", "network", "mask")}
_SHIFT = 8  # pixels from picture to picture, so that there is motion to be found


def measure(
    backend: Backend,
    image: np.ndarray,
    size: tuple[int, int],
    mask_size: tuple[int, int],
    paths: tuple[str, ...] = tuple(PATHS),
    repeats: int = REPEATS,
) -> dict[str, dict[str, float]]:
    """Times of each path in ms: {path: {published_mean, published_median, published_p99, user_mean,
    user_median, user_p99}}.

    image: (H, W, 3) uint8 RGB; size: (h, w) of the network input; mask_size: (H, W) of the masks
    repeats: runs of each path, a multiple of ROUNDS
    """
    frames = [Frame("", 0, image), Frame("", 0, np.roll(image, _SHIFT, axis=1))]
    shallow = backend.shallow(network_input(frames[0], size))
    common = backend.deep(shallow)
    logits = backend.decode(shallow, [common]).transpose(1, 2, 0)[None].copy()
    contenders = []
    for path in paths:
        run = _run(backend, size, mask_size, path, common, logits)
        contenders.append(
            Contender(path, _opening(run), lambda: itertools.cycle(frames), least=repeats // ROUNDS)
        )
    times = interleave(contenders, 0.0, ROUNDS, burst_s=0.0)
    return {path: _figures(times[path]) for path in paths}


def _opening(run: Run) -> Callable[[], AbstractContextManager[Run]]:
    return lambda: nullcontext(run)


def _figures(times: Times) -> dict[str, float]:
    steps = times.steps()
    figures: dict[str, float] = {}
    for way, names in _STEPS.items():
        spent = np.sum([steps[name] for name in names], axis=0)
        figures |= {
            f"{way}_mean": round(float(spent.mean()), 3),
            f"{way}_median": round(float(np.median(spent)), 3),
            f"{way}_p99": round(float(np.percentile(spent, 99)), 3),
        }
    return figures


def frames_per_second(
    times: dict[str, dict[str, float]], mode: str, keyframe_rate: float, way: str, alignment: str = NONE
) -> float:
    """1 / mean time of a frame where `keyframe_rate` of them are keyframes. way: published or user.

    In async mode the deep path runs beside the frames; its time counts as if it ran between them.
    """
    keyframe = times[KEYFRAME][f"{way}_mean"]
    if mode == PER_FRAME:
        return 1e3 / keyframe
    other = times[nonkey(2 if mode == TWO_SIDED else 1, alignment)][f"{way}_mean"]
    return 1e3 / (keyframe_rate * keyframe + (1.0 - keyframe_rate) * other)


def _run(
    backend: Backend,
    size: tuple[int, int],
    mask_size: tuple[int, int],
    path: str,
    common: Feature,
    logits: np.ndarray,
) -> Run:
    """logits: (1, h, w, classes) of the keyframe"""
    sides, alignment = PATHS[path]
    track, indices = MotionTrack(both_ways=sides == 2), itertools.count()
    map_size = (size[0] // MAP_SHRINK, size[1] // MAP_SHRINK, 2)
    motions = [np.full(map_size, _SHIFT / MAP_SHRINK, np.float32)] * sides if alignment != NONE else ()

    def network(image: np.ndarray) -> np.ndarray:
        if alignment == LOGITS:
            return moved_logits((logits, motion) for motion in motions)
        shallow = backend.shallow(image)
        return backend.decode(
            shallow, [backend.deep(shallow)] if path == KEYFRAME else [common] * sides, motions
        )

    def run(frame: Frame, watch: Laps) -> None:
        image = network_input(frame, size)
        watch.lap("resizing")
        if alignment != NONE:
            track.add(image, next(indices), {0})
            track.motion(max(track.known), 0)
        watch.lap("motion")
        made = network(image)
        watch.lap("network")  # the logits are an array of the CPU: all work has been waited for
        upsampled_argmax(made, mask_size)
        watch.lap("mask")
        tensor = torch.from_numpy(made)[None].to(backend.device)
        synchronize(backend.device)
        watch.lap("moving the logits back")
        with torch.inference_mode():
            F.interpolate(tensor, size=mask_size, mode="bilinear", align_corners=False)
        synchronize(backend.device)
        watch.lap("upsampling")

    return run
