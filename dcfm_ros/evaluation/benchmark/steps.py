"""What a frame spends its time on: the way of the segmenter step by step, and upsample-and-argmax by itself.

On a GPU every step is waited for, so that the sum is more than a frame takes that waits but once.
"""

from __future__ import annotations

import itertools
import time
from functools import partial

import numpy as np
import torch
from torch import Tensor

from dcfm_ros.evaluation.benchmark.border import blocky_logits, border_share, laid_out_as
from dcfm_ros.evaluation.benchmark.contenders import plain
from dcfm_ros.evaluation.benchmark.scene import Scene
from dcfm_ros.evaluation.interleave import Contender, Laps
from dcfm_ros.evaluation.timing import wait_for
from dcfm_ros.model.fusion import resize
from dcfm_ros.pipeline.backends.base import Backend, MasksOnHost
from dcfm_ros.pipeline.frames import Frame, SchedulerConfig
from dcfm_ros.pipeline.postprocess import upsampled_argmax
from dcfm_ros.pipeline.preprocess import network_input
from dcfm_ros.pipeline.scheduler import KeyframeScheduler

BORDER_SHARES = (0.0, 0.15, 1.0)

class Steps:
    """A frame by the backend's calls; `keyframe`: with a deep path of its own."""

    def __init__(self, backend: Backend, size: tuple[int, int], keyframe: bool):
        self._backend, self._size, self._keyframe = backend, size, keyframe
        self._scheduler = KeyframeScheduler(SchedulerConfig())
        self._common, self._index = None, 0
        self._longest: list[float] = []
        self.slices = 0   # of a deep path

    @property
    def longest_slice_ms(self) -> float:
        """Median over keyframes: so long may a frame meet the deep path at work."""
        return float(np.median(self._longest))

    def run(self, frame: Frame, watch: Laps) -> None:
        backend = self._backend
        image = network_input(frame, self._size)
        watch.lap("preprocess")
        shallow = backend.shallow(image)
        wait_for(backend.device)
        watch.lap("shallow network")
        self._scheduler.decide(image, self._index)
        self._index += 1
        watch.lap("keyframe decision")
        if self._keyframe or self._common is None:   # else once, on the first frame, which is not counted
            self._common = self._deep(shallow)
        if self._keyframe:
            wait_for(backend.device)
            watch.lap("deep path, common feature")
        if isinstance(backend, MasksOnHost):
            logits = backend.decode(shallow, [self._common])
            watch.lap("fusion and head")
            upsampled_argmax(logits, frame.image.shape[:2])
            watch.lap("upsample-argmax")
        else:
            backend.mask(shallow, [self._common], frame.image.shape[:2])
            watch.lap("fusion, head, upsample-argmax, mask to the host")

    def _deep(self, shallow):
        """In this thread, noting where it would give way."""
        marks = []
        common = self._backend.deep(shallow, lambda: marks.append(time.perf_counter()))
        marks.append(time.perf_counter())
        self.slices = len(marks) - 1
        if self.slices:
            self._longest.append(1e3 * max(np.diff(marks)))
        return common


def transfers(scene: Scene, size: tuple[int, int], device: str) -> Contender:
    """Copies of a network input to the device and of a mask back, pinned, each by itself: a GPU's backend hides some of it."""
    pinned = device.startswith("cuda")
    image = torch.zeros(*size, 3, dtype=torch.uint8, pin_memory=pinned)
    mask = torch.zeros(*scene.size, dtype=torch.uint8, pin_memory=pinned)
    on_device = mask.to(device)

    def run(frame: Frame, watch: Laps) -> None:
        image.to(device, non_blocking=True)
        wait_for(device)
        watch.lap("image to the device")
        mask.copy_(on_device, non_blocking=True)
        wait_for(device)
        watch.lap("mask to the host")

    return plain("transfers", run, scene)


def measured_border_share(backend: Backend, scene: Scene, size: tuple[int, int], frames: int = 8) -> float:
    """Mean share of border cells in the logits of the scene's frames, the first being the keyframe of all; of a per-frame
    network each its own."""
    common, shares = None, []
    for frame in itertools.islice(scene.frames(), frames):
        shallow = backend.shallow(network_input(frame, size))
        if common is None or backend.per_frame:
            common = backend.deep(shallow)
        shares.append(border_share(backend.decode(shallow, [common])))
    return float(np.mean(shares))


# Upsample-and-argmax by itself

WAYS = ("ours", "channels first", "channels last")   # the last two: memory layouts of PyTorch's


def upsampling(backend: Backend, scene: Scene, size: tuple[int, int]) -> dict[str, tuple[float, dict[str, Contender]]]:
    """{what the logits are: (their border share, contenders by WAYS)}, from logits to mask at camera size, on the CPU.

    The logits are those of the model on the scene's first frame, and some made with a given share of border cells.
    """
    shallow = backend.shallow(network_input(next(scene.frames()), size))
    model = np.copy(backend.decode(shallow, [backend.deep(shallow)]), order="K")   # laid out as the backend has them
    made = {"the model's own": model}
    for share in BORDER_SHARES[:1] if len(model) < 2 else BORDER_SHARES:
        made[f"made, {share:.0%}"] = laid_out_as(model, blocky_logits(len(model), model.shape[1:], share))
    return {what: (border_share(logits), _ways(what, logits, scene)) for what, logits in made.items()}


def _ways(what: str, logits: np.ndarray, scene: Scene) -> dict[str, Contender]:
    tensor = torch.from_numpy(logits)[None]
    first = tensor.clone(memory_format=torch.contiguous_format)   # as most published code has them
    last = tensor.clone(memory_format=torch.channels_last)        # as our networks have them in eager PyTorch

    def ours(frame: Frame, watch: Laps) -> None:
        upsampled_argmax(logits, scene.size)

    runs = dict(zip(WAYS, (ours, partial(_in_torch, first, scene.size), partial(_in_torch, last, scene.size))))
    return {way: plain(f"upsampling, {what}, {way}", run, scene) for way, run in runs.items()}


def _in_torch(logits: Tensor, size: tuple[int, int], frame: Frame, watch: Laps) -> None:
    with torch.inference_mode():
        resize(logits, size).argmax(1).to(torch.uint8)
