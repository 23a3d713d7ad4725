# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The kernels in which a frame's networks spend most of their time, by PyTorch's profiler: on a GPU its
kernels, also those of graphs; on a CPU PyTorch's operators."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile, record_function

from dcfm_ros.benchmark.interleave import synchronize
from dcfm_ros.benchmark.report import rounded
from dcfm_ros.benchmark.scene import Scene
from dcfm_ros.motion.flow import MAP_SHRINK
from dcfm_ros.pipeline.backends.base import Backend
from dcfm_ros.pipeline.preprocess import network_input

LONGEST = 5
_WARM, _COUNTED = 3, 20  # frames
_MARK = "part: "
_NAME = 100  # letters of a kernel's name: those of C++ templates have thousands


def can_profile(backend: Backend) -> bool:
    """PyTorch sees its own work only."""
    return backend.name == "torch"


def longest_kernels(
    backend: Backend, scene: Scene, size: tuple[int, int], count: int = LONGEST
) -> list[dict]:
    """Of a shallow frame and of a deep path: `of`, `total_ms` of all kernels, and the longest of them with
    their times a frame; none where the profiler has recorded none. Times are sums over the kernels: those
    that run side by side count both. size: (h, w) of the network input."""
    frame = next(scene.frames())
    image, camera = network_input(frame, size), frame.image.shape[:2]
    shallow = backend.shallow(image)
    common = backend.deep(shallow)
    # features move by some cells
    moves = np.full((size[0] // MAP_SHRINK, size[1] // MAP_SHRINK, 2), 1.5, np.float32)
    parts: dict[str, Callable[[], object]] = {
        "shallow frame": lambda: backend.mask(backend.shallow(image), [common], camera, motions=[moves]),
        "deep path": lambda: backend.deep(shallow),
    }
    for run in parts.values():
        for _ in range(_WARM):
            run()
    on_gpu = backend.device.startswith("cuda")
    # One session for both: after a first one CUDA's profiling interface may record nothing more.
    with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]) as profiler:
        for name, run in parts.items():
            with record_function(_MARK + name):
                for _ in range(_COUNTED):
                    run()
                synchronize(backend.device)
    return [{"of": name, **part} for name, part in _parts(profiler.events(), on_gpu, count).items()]


def _parts(events: Iterable, on_gpu: bool, count: int) -> dict[str, dict]:
    """By the time at which each part began: whatever it has started is over when the next one begins."""
    events = list(events)
    marks = sorted(
        (event.time_range.start, event.name.removeprefix(_MARK))
        for event in events
        if event.name.startswith(_MARK) and event.device_type == DeviceType.CPU
    )
    spent: dict[str, dict[str, tuple[float, int]]] = {name: {} for _, name in marks}  # kernel: (us, times)
    for event in events:
        is_wanted = event.device_type == (DeviceType.CUDA if on_gpu else DeviceType.CPU)
        started = [name for start, name in marks if start <= event.time_range.start]
        if is_wanted and started and not event.name.startswith(_MARK):
            us, times = spent[started[-1]].get(event.name, (0.0, 0))
            took = event.time_range.elapsed_us() if on_gpu else event.self_cpu_time_total
            spent[started[-1]][event.name] = us + took, times + 1
    return {name: _longest(kernels, count) for name, kernels in spent.items()}


def _longest(kernels: dict[str, tuple[float, int]], count: int) -> dict:
    per_frame = sorted(
        ((us / 1e3 / _COUNTED, times / _COUNTED, name) for name, (us, times) in kernels.items()), reverse=True
    )
    return {
        "total_ms": rounded(sum(ms for ms, _, _ in per_frame)),
        "kernels": [
            {"name": name[:_NAME], "times": rounded(times), "ms": rounded(ms)}
            for ms, times, name in per_frame[:count]
        ],
    }
