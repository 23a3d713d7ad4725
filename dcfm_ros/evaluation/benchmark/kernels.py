# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The kernels in which a frame's networks spend most of their time, by PyTorch's profiler: on a GPU its kernels, also those of
graphs; on a CPU PyTorch's operators."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from dcfm_ros.evaluation.benchmark.report import rounded
from dcfm_ros.evaluation.benchmark.scene import Scene
from dcfm_ros.pipeline.backends.base import Backend
from dcfm_ros.pipeline.preprocess import network_input

LONGEST = 5
_WARM, _COUNTED = 3, 20   # frames
_NAME = 100               # letters of a kernel's name: those of C++ templates have thousands


def can_profile(backend: Backend) -> bool:
    """PyTorch sees its own work only."""
    return backend.name == "torch"


def longest_kernels(backend: Backend, scene: Scene, size: tuple[int, int], count: int = LONGEST) -> list[dict]:
    """Of a shallow frame and of a deep path: `of`, `total_ms` of all kernels, and the longest of them with their times a
    frame. Times are sums over the kernels: those that run side by side count both. size: (h, w) of the network input."""
    frames = [(network_input(frame, size), frame.image.shape[:2]) for frame in islice(scene.frames(), 2)]
    (image, camera), *_ = frames
    shallow = backend.shallow(image)
    common = backend.deep(shallow)
    parts: dict[str, Callable[[], object]] = {
        "shallow frame": lambda: backend.mask(backend.shallow(image), [common], camera),
        "deep path": lambda: backend.deep(shallow)}
    return [{"of": name, **_profiled(run, backend.device, count)} for name, run in parts.items()]


def _profiled(run: Callable[[], object], device: str, count: int) -> dict:
    on_gpu = device.startswith("cuda")
    for _ in range(_WARM):
        run()
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with profile(activities=activities) as profiler:
        for _ in range(_COUNTED):
            run()
        if on_gpu:
            torch.cuda.synchronize()
    wanted = DeviceType.CUDA if on_gpu else DeviceType.CPU
    found = []
    for event in profiler.key_averages():
        spent = event.self_device_time_total if on_gpu else event.self_cpu_time_total   # us
        if event.device_type == wanted and spent > 0:
            found.append((spent / 1e3 / _COUNTED, event.count / _COUNTED, event.key))
    found.sort(reverse=True)
    return {"total_ms": rounded(sum(spent for spent, _, _ in found)), "kernels": [
        {"name": name[:_NAME], "times": rounded(times), "ms": rounded(spent)} for spent, times, name in found[:count]]}
