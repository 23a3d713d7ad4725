# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Upsample-and-argmax by itself: ours, and interpolate and argmax in PyTorch, on the CPU."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import torch
from torch import Tensor

from dcfm_ros.benchmark.border import blocky_logits, border_share, laid_out_as
from dcfm_ros.benchmark.contenders import plain
from dcfm_ros.benchmark.interleave import Contender, Laps, Times
from dcfm_ros.benchmark.report import upsampling_row
from dcfm_ros.benchmark.scene import Scene
from dcfm_ros.model.fusion import resize
from dcfm_ros.pipeline.backends.base import Backend
from dcfm_ros.pipeline.frames import Frame
from dcfm_ros.pipeline.postprocess import upsampled_argmax
from dcfm_ros.pipeline.preprocess import network_input

BORDER_SHARES = (0.0, 0.15, 1.0)
WAYS = ("ours", "channels first", "channels last")  # the last two: memory layouts of PyTorch's


class Upsampling:
    """From logits to the mask at camera size. Logits are the model's own, of the scene's first frame, and
    some that are made with a given share of border cells."""

    def __init__(self, backend: Backend, scene: Scene, size: tuple[int, int]):
        """size: (h, w) of the network input."""
        shallow = backend.shallow(network_input(next(scene.frames()), size))
        # laid out as the backend has them
        model = np.copy(backend.decode(shallow, [backend.deep(shallow)]), order="K")
        logits = {"the model's own": model}
        for share in BORDER_SHARES[:1] if len(model) < 2 else BORDER_SHARES:
            logits[f"made, {share:.0%}"] = laid_out_as(
                model, blocky_logits(len(model), model.shape[1:], share)
            )
        self.shares = {what: border_share(values) for what, values in logits.items()}
        self._ways = {what: _ways(what, values, scene) for what, values in logits.items()}
        self.contenders = [contender for ways in self._ways.values() for contender in ways.values()]

    def report(self, times: Mapping[str, Times]) -> list[dict]:
        """A row for each kind of logits."""
        return [
            upsampling_row(
                what, self.shares[what], {way: times[contender.name] for way, contender in ways.items()}
            )
            for what, ways in self._ways.items()
        ]


def _ways(what: str, logits: np.ndarray, scene: Scene) -> dict[str, Contender]:
    tensor = torch.from_numpy(logits)[None]
    first = tensor.clone(memory_format=torch.contiguous_format)  # as most published code has them
    last = tensor.clone(memory_format=torch.channels_last)  # as our networks have them in eager PyTorch

    def ours(frame: Frame, watch: Laps) -> None:
        upsampled_argmax(logits, scene.size)

    in_torch = (partial(_in_torch, tensor, scene.size) for tensor in (first, last))
    runs: dict[str, Callable[[Frame, Laps], None]] = dict(zip(WAYS, (ours, *in_torch)))
    return {way: plain(f"upsampling, {what}, {way}", run, scene) for way, run in runs.items()}


def _in_torch(logits: Tensor, size: tuple[int, int], frame: Frame, watch: Laps) -> None:
    with torch.inference_mode():
        resize(logits, size).argmax(1).to(torch.uint8)


def measured_border_share(backend: Backend, scene: Scene, size: tuple[int, int], frames: int = 8) -> float:
    """Mean share of border cells in the logits of the scene's frames, the first being the keyframe of all; of
    a per-frame network each its own."""
    common, shares = None, []
    for frame in itertools.islice(scene.frames(), frames):
        shallow = backend.shallow(network_input(frame, size))
        if common is None or backend.per_frame:
            common = backend.deep(shallow)
        shares.append(border_share(backend.decode(shallow, [common])))
    return float(np.mean(shares))
