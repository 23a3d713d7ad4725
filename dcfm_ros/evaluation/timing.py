"""How long a frame takes: the published way and the user's way.

The published figures are 1 / mean time of the network with its upsampling, one image at a time, without transfers and
argmax. A user waits from image in to mask out. Both are measured here on one picture, path by path; a schedule's figure
follows from its keyframe rate.
"""

from __future__ import annotations

import time

import numpy as np
import torch
import torch.nn.functional as F

from dcfm_ros.evaluation.keyframes import PER_FRAME, TWO_SIDED
from dcfm_ros.pipeline.backends.base import Backend
from dcfm_ros.pipeline.frames import Frame
from dcfm_ros.pipeline.postprocess import upsampled_argmax
from dcfm_ros.pipeline.preprocess import network_input

WARM_UP, REPEATS = 5, 30

# Keyframes a path decodes with. A keyframe makes its own common feature first.
KEYFRAME, NONKEY, NONKEY_TWO_SIDED = "keyframe", "nonkey", "nonkey_two_sided"
PATHS = {KEYFRAME: 1, NONKEY: 1, NONKEY_TWO_SIDED: 2}

WHAT = {
    "published": "calls of the backend (shallow path, of keyframes the deep path, decoder) and bilinear upsampling of the "
                 "logits to the mask's size by torch; the backend's own transfers of image and logits are part of its calls",
    "user": "resizing the image, calls of the backend, upsample-and-argmax to the mask",
}


def measure(backend: Backend, image: np.ndarray, size: tuple[int, int], mask_size: tuple[int, int],
            paths: tuple[str, ...] = tuple(PATHS), repeats: int = REPEATS) -> dict[str, dict[str, float]]:
    """Times of each path in ms: {path: {published_mean, published_median, user_mean, user_median}}.

    image: (H, W, 3) uint8 RGB; size: (h, w) of the network input; mask_size: (H, W) of the masks
    """
    common = backend.deep(backend.shallow(network_input(Frame("", 0, image), size)))
    times = {}
    for path in paths:
        commons = [common] * PATHS[path]
        runs = [_run(backend, image, size, mask_size, path, commons) for _ in range(WARM_UP + repeats)][WARM_UP:]
        published, user = 1e3 * np.array(runs).T
        times[path] = {"published_mean": published.mean(), "published_median": np.median(published),
                       "user_mean": user.mean(), "user_median": np.median(user)}
        times[path] = {name: round(float(value), 3) for name, value in times[path].items()}
    return times


def frames_per_second(times: dict[str, dict[str, float]], mode: str, keyframe_rate: float, way: str) -> float:
    """1 / mean time of a frame where `keyframe_rate` of them are keyframes. way: published or user.

    In async mode the deep path runs beside the frames; its time counts as if it ran between them.
    """
    keyframe = times[KEYFRAME][f"{way}_mean"]
    if mode == PER_FRAME:
        return 1e3 / keyframe
    other = times[NONKEY_TWO_SIDED if mode == TWO_SIDED else NONKEY][f"{way}_mean"]
    return 1e3 / (keyframe_rate * keyframe + (1.0 - keyframe_rate) * other)


def _run(backend, image, size, mask_size, path, commons) -> tuple[float, float]:
    """Seconds of one frame: (published way, user's way)."""
    started = time.perf_counter()
    prepared = network_input(Frame("", 0, image), size)
    resized = time.perf_counter()
    shallow = backend.shallow(prepared)
    if path == KEYFRAME:
        commons = [backend.deep(shallow)]
    logits = backend.decode(shallow, commons)   # an array of the CPU: all work has been waited for
    computed = time.perf_counter()
    upsampled_argmax(logits, mask_size)
    masked = time.perf_counter()
    network = computed - resized
    return network + _upsampling(logits, mask_size, backend.device), network + (resized - started) + (masked - computed)


def _upsampling(logits: np.ndarray, size: tuple[int, int], device: str) -> float:
    """Seconds of bilinear upsampling on the backend's device."""
    tensor = torch.from_numpy(logits)[None].to(device)
    _wait(device)
    started = time.perf_counter()
    with torch.inference_mode():
        F.interpolate(tensor, size=size, mode="bilinear", align_corners=False)
    _wait(device)
    return time.perf_counter() - started


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
