# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How long a frame takes: the published way and the user's way.

The published figures are 1 / mean time of the network with its upsampling, one image at a time, without transfers and
argmax. A user waits from image in to mask out. Both are measured here on one picture, path by path in turn; a schedule's
figure follows from its keyframe rate.
"""

from __future__ import annotations

import itertools
from contextlib import nullcontext

import numpy as np
import torch
import torch.nn.functional as F

from dcfm_ros.evaluation.interleave import Contender, Laps, Run, Times, interleave
from dcfm_ros.evaluation.keyframes import PER_FRAME, TWO_SIDED
from dcfm_ros.pipeline.backends.base import Backend
from dcfm_ros.pipeline.frames import Frame
from dcfm_ros.pipeline.postprocess import upsampled_argmax
from dcfm_ros.pipeline.preprocess import network_input

ROUNDS, REPEATS = 3, 30   # REPEATS runs of a path in all

# Keyframes a path decodes with. A keyframe makes its own common feature first.
KEYFRAME, NONKEY, NONKEY_TWO_SIDED = "keyframe", "nonkey", "nonkey_two_sided"
PATHS = {KEYFRAME: 1, NONKEY: 1, NONKEY_TWO_SIDED: 2}

WHAT = {
    "published": "calls of the backend (shallow path, of keyframes the deep path, decoder) and bilinear upsampling of the "
                 "logits to the mask's size by torch; the backend's own transfers of image and logits are part of its calls",
    "user": "resizing the image, calls of the backend, upsample-and-argmax to the mask",
}
_STEPS = {"published": ("network", "upsampling"), "user": ("resizing", "network", "mask")}


def measure(backend: Backend, image: np.ndarray, size: tuple[int, int], mask_size: tuple[int, int],
            paths: tuple[str, ...] = tuple(PATHS), repeats: int = REPEATS) -> dict[str, dict[str, float]]:
    """Times of each path in ms: {path: {published_mean, published_median, user_mean, user_median}}.

    image: (H, W, 3) uint8 RGB; size: (h, w) of the network input; mask_size: (H, W) of the masks
    repeats: runs of each path, a multiple of ROUNDS
    """
    frame = Frame("", 0, image)
    common = backend.deep(backend.shallow(network_input(frame, size)))
    contenders = []
    for path in paths:
        run = _run(backend, size, mask_size, path, [common] * PATHS[path])
        contenders.append(Contender(path, lambda run=run: nullcontext(run), lambda: itertools.repeat(frame),
                                    least=repeats // ROUNDS))
    times = interleave(contenders, 0.0, ROUNDS, burst_s=0.0)
    return {path: _figures(times[path]) for path in paths}


def _figures(times: Times) -> dict[str, float]:
    steps = times.steps()
    figures = {}
    for way, names in _STEPS.items():
        spent = sum(steps[name] for name in names)
        figures |= {f"{way}_mean": round(float(spent.mean()), 3), f"{way}_median": round(float(np.median(spent)), 3)}
    return figures


def frames_per_second(times: dict[str, dict[str, float]], mode: str, keyframe_rate: float, way: str) -> float:
    """1 / mean time of a frame where `keyframe_rate` of them are keyframes. way: published or user.

    In async mode the deep path runs beside the frames; its time counts as if it ran between them.
    """
    keyframe = times[KEYFRAME][f"{way}_mean"]
    if mode == PER_FRAME:
        return 1e3 / keyframe
    other = times[NONKEY_TWO_SIDED if mode == TWO_SIDED else NONKEY][f"{way}_mean"]
    return 1e3 / (keyframe_rate * keyframe + (1.0 - keyframe_rate) * other)


def _run(backend: Backend, size: tuple[int, int], mask_size: tuple[int, int], path: str, commons: list) -> Run:
    def run(frame: Frame, watch: Laps) -> None:
        image = network_input(frame, size)
        watch.lap("resizing")
        shallow = backend.shallow(image)
        logits = backend.decode(shallow, [backend.deep(shallow)] if path == KEYFRAME else commons)
        watch.lap("network")      # the logits are an array of the CPU: all work has been waited for
        upsampled_argmax(logits, mask_size)
        watch.lap("mask")
        tensor = torch.from_numpy(logits)[None].to(backend.device)
        wait_for(backend.device)
        watch.lap("moving the logits back")
        with torch.inference_mode():
            F.interpolate(tensor, size=mask_size, mode="bilinear", align_corners=False)
        wait_for(backend.device)
        watch.lap("upsampling")

    return run


def wait_for(device: str) -> None:
    """Until a GPU has done all that was asked of it; a CPU has."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
