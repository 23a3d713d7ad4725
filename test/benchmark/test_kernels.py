# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The longest kernels, of events that are made up as a GPU's profiler gives them."""

from types import SimpleNamespace

from torch.autograd import DeviceType

from dcfm_ros.benchmark import kernels as module
from dcfm_ros.benchmark.kernels import _parts


def event(name, start, us, device=DeviceType.CUDA):
    span = SimpleNamespace(start=start, elapsed_us=lambda: us)
    return SimpleNamespace(name=name, device_type=device, time_range=span, self_cpu_time_total=us)


MARKS = [
    event("part: shallow frame", 100, 900, DeviceType.CPU),
    event("part: deep path", 1000, 900, DeviceType.CPU),
]


def test_kernels_belong_to_the_part_in_which_they_began():
    """20 frames each; what was before, the host's calls, and the marks' own ranges on the device do not
    count."""
    events = [
        *MARKS,
        event("gemm", 50, 500),
        event("part: deep path", 1000, 800),
        event("cudaGraphLaunch", 120, 40, DeviceType.CPU),
        event("gemm", 150, 200),
        event("gemm", 400, 200),
        event("norm", 700, 40),
        event("norm", 1100, 600),
        event("gemm", 1200, 60),
    ]
    assert _parts(events, on_gpu=True, count=5) == {
        "shallow frame": {
            "total_ms": 0.022,
            "kernels": [
                {"name": "gemm", "times": 0.1, "ms": 0.02},
                {"name": "norm", "times": 0.05, "ms": 0.002},
            ],
        },
        "deep path": {
            "total_ms": 0.033,
            "kernels": [
                {"name": "norm", "times": 0.05, "ms": 0.03},
                {"name": "gemm", "times": 0.05, "ms": 0.003},
            ],
        },
    }


def test_the_longest_and_shortened_names():
    events = [*MARKS, *(event(f"k{number}" * 60, 200 + number, number) for number in range(1, 9))]
    found = _parts(events, on_gpu=True, count=3)
    assert [kernel["name"][:2] for kernel in found["shallow frame"]["kernels"]] == ["k8", "k7", "k6"]
    assert len(found["shallow frame"]["kernels"][0]["name"]) == module._NAME
    assert found["deep path"] == {"total_ms": 0.0, "kernels": []}  # nothing was recorded
